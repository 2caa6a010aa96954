//! Tables: aligned columns without lines. Cut to the terminal's width, never when piped.

use comfy_table::{Cell, Color, ContentArrangement, presets};

use super::{Output, Width};

/// A table being filled.
pub struct Table {
    inner: comfy_table::Table,
    headers: usize,
    title: Option<&'static str>,
}

/// One field of a row.
pub struct Field(Cell);

impl<T: Into<String>> From<T> for Field {
    fn from(text: T) -> Self {
        let text = text.into();
        Self(Cell::new(if text.is_empty() { "-".to_owned() } else { one_line(&text) }))
    }
}

/// Control characters of a message must not move the cursor.
fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Field {
    /// A state in capitals, coloured by how good it is.
    #[must_use]
    pub fn state(text: String) -> Self {
        let color = match text.as_str() {
            "OK" | "ACTIVE" | "RUNNING" | "READY" | "HEALTHY" | "COMPLETED" | "LEADER" => {
                Color::Green
            }
            "FAILED" | "LOST" | "DOWN" | "UNHEALTHY" | "DEGRADED" | "ISOLATION_UNAVAILABLE" => {
                Color::Red
            }
            "STOPPED" | "NONE" | "VOTER" | "LEARNER" | "SCHEDULED" | "SKIPPED" => Color::Reset,
            _ => Color::Yellow,
        };
        Self(Cell::new(text).fg(color))
    }
}

impl Table {
    /// A table with these column names.
    #[must_use]
    pub fn new(headers: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(presets::NOTHING).set_header(headers.to_vec());
        Self { inner, headers: headers.len(), title: None }
    }

    /// With a line above it.
    #[must_use]
    pub const fn titled(mut self, title: &'static str) -> Self {
        self.title = Some(title);
        self
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, fields: [Field; N]) {
        debug_assert_eq!(N, self.headers, "a field per column");
        self.inner.add_row(fields.map(|f| f.0));
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// As text, for this output.
    #[must_use]
    pub fn render(mut self, out: &Output) -> String {
        let columns = self.headers;
        match out.terminal {
            None => {
                self.inner.set_content_arrangement(ContentArrangement::Disabled);
            }
            Some(width) => {
                self.inner.set_content_arrangement(ContentArrangement::Dynamic);
                if let Width::Columns(n) = width {
                    self.inner.set_width(n);
                }
            }
        }
        if out.color {
            self.inner.enforce_styling();
        } else {
            self.inner.force_no_tty();
            if out.terminal == Some(Width::Ask)
                && let Some(n) = comfy_table::Table::new().width()
            {
                self.inner.set_width(n);
            }
        }
        for (i, column) in self.inner.column_iter_mut().enumerate() {
            column.set_padding((0, if i + 1 == columns { 0 } else { 2 }));
        }
        let mut text = String::new();
        if let Some(title) = self.title {
            text.push_str(title);
            text.push('\n');
        }
        for line in self.inner.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}
