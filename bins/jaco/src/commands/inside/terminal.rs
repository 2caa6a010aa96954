//! The terminal this program was started from.

use std::io::{self, IsTerminal as _};

use jaco_api::model::TerminalSize;
use rustix::termios::{self, OptionalActions, Termios};

/// A terminal whose keys go through as they are typed; as it was before when dropped.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    /// Takes the terminal behind standard input over; absent when there is none.
    pub(super) fn take() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = termios::tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// The size of the terminal, as whichever of the two ends knows it.
pub(super) fn size() -> Option<TerminalSize> {
    let size = termios::tcgetwinsize(io::stdout()).or_else(|_| termios::tcgetwinsize(io::stdin()));
    let size = size.ok().filter(|size| size.ws_row > 0 && size.ws_col > 0)?;
    Some(TerminalSize { rows: size.ws_row, columns: size.ws_col })
}
