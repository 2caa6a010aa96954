//! Amounts of memory: `512m`, `1.5g`, `1048576`.

use super::{Node, Report, decimal, wrong};

/// An amount of memory in bytes.
pub(in crate::manifest) fn bytes(node: &Node, report: &mut Report<'_>) -> Option<u64> {
    node.as_text()
        .and_then(parse)
        .or_else(|| wrong(node, "an amount of memory such as 512m or 1.5g", report))
}

/// The size of something that is sent, in bytes.
pub(in crate::manifest) fn size(node: &Node, report: &mut Report<'_>) -> Option<u64> {
    node.as_text().and_then(parse).or_else(|| wrong(node, "a size such as 10m or 1g", report))
}

/// The same as [`bytes`], with `-1` for no limit.
pub(in crate::manifest) fn bytes_or_unlimited(node: &Node, report: &mut Report<'_>) -> Option<i64> {
    if node.as_text().map(str::trim) == Some("-1") {
        return Some(-1);
    }
    bytes(node, report).and_then(|n| i64::try_from(n).ok())
}

fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        "p" | "pb" | "pib" => 1 << 50,
        _ => return None,
    };
    decimal(number, scale).filter(|n| i64::try_from(*n).is_ok())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn amounts_are_read_as_the_engine_reads_them() {
        for (text, bytes) in [
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("1GB", 1 << 30),
            ("64 KiB", 64 << 10),
            ("1048576", 1 << 20),
            ("10b", 10),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in ["", "m", "-1m", "1x", "1.2.3m", "99999999p", "1e3", "0x10"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
