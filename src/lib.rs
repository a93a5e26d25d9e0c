//! lookhear
