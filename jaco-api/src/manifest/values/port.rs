//! Port numbers and ranges.

/// One port, or several that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::manifest) struct PortRange {
    pub(in crate::manifest) first: u16,
    pub(in crate::manifest) last: u16,
}

impl PortRange {
    /// How many ports.
    pub(in crate::manifest) fn len(self) -> u32 {
        u32::from(self.last) - u32::from(self.first) + 1
    }
}

/// `80` or `8000-8010`; the error is the end of a sentence.
pub(in crate::manifest) fn port_range(text: &str) -> Result<PortRange, String> {
    let one = |s: &str| {
        s.parse::<u16>()
            .ok()
            .filter(|p| *p > 0 && s.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| {
                format!("`{}` is no port from 1 to 65535", crate::manifest::report::cut(s))
            })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = PortRange { first: one(first)?, last: one(last)? };
    if range.first > range.last {
        return Err(format!("the range {first}-{last} ends before it begins"));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_lie_between_1_and_65535() {
        assert_eq!(port_range("80"), Ok(PortRange { first: 80, last: 80 }));
        assert_eq!(port_range("1-65535").unwrap().len(), 65_535);
        for text in ["", "0", "65536", "+80", "80-", "-80", "9-8", "http", "1-2-3", " 80"] {
            assert!(port_range(text).is_err(), "{text}");
        }
    }
}
