//! Reads the configuration language: from files to a tree of blocks and lines, each word with its place.
//!
//! Reading never fails: what cannot be understood becomes a [`Diagnostic`](diagnostic::Diagnostic), and the rest is
//! read on. The layers, each of which sees only the one before: [`source`], [`expand`], [`lexer`], [`tree`],
//! [`schema`]. What a keyword means is not known here.

pub mod command;
pub mod diagnostic;
pub mod expand;
pub mod lexer;
pub mod schema;
pub mod shell;
pub mod source;
pub mod suggest;
pub mod text;
pub mod tree;
pub mod value;
