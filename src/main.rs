//! The program `lookhear`: arguments in, exit code out.
fn main() {}
