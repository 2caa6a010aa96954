//! Whole invocations of the program: help of every command, usage, errors, `validate`.
//!
//! `TRYCMD=overwrite cargo test -p jaco --test invocations` writes what is printed now.

#[test]
fn whole_invocations() {
    let cases = trycmd::TestCases::new();
    cases
        .env("HOME", "/nonexistent")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("JACO_SOCKET", "/nonexistent/jaco.sock")
        .case("tests/cmd/*.trycmd");
}
