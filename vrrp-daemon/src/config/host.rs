//! What a configuration must know of the host: users, interfaces, CPUs, programs, keys. The only way there is [`Host`].

use super::setup::RunAs;

/// The host, as far as the meaning of a configuration goes.
pub trait Host {
    /// Ids of a user, by name or number: the user and the user's own group.
    fn user(&self, name: &str) -> Option<RunAs>;

    /// Id of a group, by name or number.
    fn group(&self, name: &str) -> Option<u32>;

    /// All groups of a user, by name or number, with the one that is run as.
    fn supplementary_groups(&self, user: &str, run_as: RunAs) -> Vec<u32>;

    /// Whether there is a network namespace of this name.
    fn has_namespace(&self, name: &str) -> bool;

    /// Whether an interface of this name exists now, in a network namespace if not in the present one.
    fn has_interface(&self, name: &str, net_namespace: Option<&str>) -> bool;

    /// Whether there is a CPU of this number.
    fn has_cpu(&self, number: u16) -> bool;

    /// A program by its path, or looked up in PATH when it has no slash.
    fn program(&self, program: &str, run_as: RunAs) -> Program;

    /// This host's name with its domain, as the resolver has it.
    fn full_name(&self) -> String;

    /// What is in a file that holds a key, or why it cannot be read.
    fn key_file(&self, path: &str) -> Result<KeyFile, String>;
}

/// A file that holds a key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyFile {
    pub octets: Vec<u8>,
    /// Group or others can read it.
    pub exposed: bool,
}

/// What was found of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// It is there, and the user may run it.
    pub runnable: bool,
    /// The first component of its path that somebody other than root can write to.
    pub writable: Option<String>,
}
