//! Commands: who runs them, whether they can be run, and whether it is safe to.

use super::Resolver;
use crate::config::setup::{Command, RunAs};
use crate::syntax::command::{CommandLine, UserName};
use crate::syntax::diagnostic::Class;
use crate::syntax::lexer::Word;
use crate::track::command::Standing;

/// The account that runs scripts when no other is named and it exists.
const SCRIPT_ACCOUNT: &str = "keepalived_script";

impl Resolver<'_> {
    /// A command whose absence disables it: `of` says what it is for.
    pub(super) fn command(&mut self, line: &CommandLine, user: Option<&UserName>, of: &str) -> Standing {
        let CommandLine { argv, word, user: own } = line;
        let Some((run_as, groups)) = self.run_as(user.or(own.as_ref()), word, of) else { return Standing::Nobody };
        let program = self.host.program(&argv[0], run_as);
        if !program.runnable {
            let message = format!("{of}: `{}` is not there or cannot be run", argv[0]);
            self.found.error(Class::Script, word.span, message).done("the script is disabled");
            return Standing::Unusable;
        }
        if !self.is_secure(word, run_as, program.writable, of) {
            return Standing::Unusable;
        }
        Standing::Usable(Command { argv: argv.clone(), run_as, groups })
    }

    /// A command that is run when something happens. It may be put in place later, so its absence is only noted.
    pub(super) fn notification(&mut self, line: Option<CommandLine>, of: &str) -> Option<Command> {
        let CommandLine { argv, word, user } = line?;
        let (run_as, groups) = self.run_as(user.as_ref(), &word, of)?;
        let program = self.host.program(&argv[0], run_as);
        if !program.runnable {
            let message = format!("{of}: `{}` is not there or cannot be run now", argv[0]);
            self.found.notice(Class::Script, word.span, message);
        } else if !self.is_secure(&word, run_as, program.writable, of) {
            return None;
        }
        Some(Command { argv, run_as, groups })
    }

    /// Who runs a script: the named user, `script_user`, the account made for it, or root. With the supplementary groups.
    fn run_as(&mut self, user: Option<&UserName>, word: &Word, of: &str) -> Option<(RunAs, Vec<u32>)> {
        if let Some(user) = user.cloned().or_else(|| self.defaults.script_user.clone()) {
            return self.account(&user, of);
        }
        let account = self.host.user(SCRIPT_ACCOUNT);
        if account.is_none() && self.defaults.script_security {
            let message = format!("{of}: nobody to run it, since root is not trusted with it by default");
            let diagnostic = self.found.error(Class::User, word.span, message).done("the script is disabled");
            diagnostic.hint(format!("set `script_user` in global_defs, or create the account {SCRIPT_ACCOUNT}"));
            return None;
        }
        let run_as = account.unwrap_or_default();
        Some((run_as, self.groups(SCRIPT_ACCOUNT, run_as, false)))
    }

    /// A user and a group by their names, and the user's other groups where they are asked for.
    pub(super) fn account(&mut self, name: &UserName, of: &str) -> Option<(RunAs, Vec<u32>)> {
        let UserName { user, group, supplementary } = name;
        let Some(account) = self.host.user(&user.text) else {
            let message = format!("{of}: there is no user `{}`", user.text);
            self.found.error(Class::User, user.span, message).done("the script is disabled");
            return None;
        };
        let Some(group) = group else {
            let groups = self.groups(&user.text, account, *supplementary);
            return Some((account, groups));
        };
        let Some(gid) = self.host.group(&group.text) else {
            let message = format!("{of}: there is no group `{}`", group.text);
            self.found.error(Class::User, group.span, message).done("the script is disabled");
            return None;
        };
        let run_as = RunAs { gid, ..account };
        Some((run_as, self.groups(&user.text, run_as, *supplementary)))
    }

    fn groups(&self, user: &str, run_as: RunAs, asked: bool) -> Vec<u32> {
        let are_wanted = asked || self.defaults.supplementary_groups;
        if are_wanted { self.host.supplementary_groups(user, run_as) } else { Vec::new() }
    }

    fn is_secure(&mut self, word: &Word, run_as: RunAs, writable: Option<String>, of: &str) -> bool {
        if !self.defaults.script_security {
            if !self.warned_of_security {
                let message = "scripts are run, and enable_script_security is not set";
                let diagnostic = self.found.warning(Class::ScriptSecurity, word.span, message);
                diagnostic.done("nobody checks whether others than root could change what root runs");
                diagnostic.hint("set `enable_script_security`, and `script_user`, in global_defs");
                self.warned_of_security = true;
            }
            return true;
        }
        let Some(component) = writable.filter(|_| run_as.uid == 0) else { return true };
        let message = format!("{of}: root would run it, and others than root can change `{component}`");
        let diagnostic = self.found.error(Class::Script, word.span, message).done("the script is disabled");
        diagnostic.hint("make every part of its path writable by root alone, or run it as another user");
        false
    }
}
