//! What the daemon exits with: keepalived's codes. Those of a configuration test are the findings' own ([`Class::exit_code`]).
//!
//! [`Class::exit_code`]: crate::syntax::diagnostic::Class::exit_code

/// Declares [`Exit`]: `Name code "when";`.
macro_rules! exits {
    ($($name:ident $code:literal $when:literal;)+) => {
        /// Why the daemon ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit {
            $(#[doc = $when] $name = $code,)+
        }

        impl Exit {
            pub const ALL: &[Self] = &[$(Self::$name),+];

            pub const fn code(self) -> u8 {
                self as u8
            }

            /// When it is, in words.
            pub const fn when(self) -> &'static str {
                match self { $(Self::$name => $when,)+ }
            }
        }
    };
}

exits! {
    Stopped 0 "It was stopped, or an answer was all that was asked for.";
    Fatal 1 "Something is broken, or a flag is unknown.";
    Configuration 2 "The configuration lacks a parameter, leaves no virtual router, or does not fit this host.";
    Permission 4 "A capability is missing.";
    NoConfiguration 6 "There is no configuration, or a file is missing that it demands.";
}
