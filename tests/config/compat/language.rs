//! What docs/compat.md says that no list of the daemon's has: the language's own features, and keepalived's flags.

/// A feature of the language, and the cases that show it.
pub struct Feature {
    pub name: &'static str,
    pub rule: &'static str,
    pub cases: &'static [&'static str],
}

/// Declares [`FEATURES`]: `"feature": "rule", cases`.
macro_rules! features {
    ($($name:literal: $rule:literal, [$($case:literal),+];)+) => {
        pub const FEATURES: &[Feature] = &[$(Feature { name: $name, rule: $rule, cases: &[$($case),+] }),+];
    };
}

features! {
    "lines": "1024 octets at most with its end, blanks and CR at the ends stripped; a longer line, or one with a NUL, is skipped with an \
        error (2.2.7 cuts it)", ["line-longest", "line-too-long", "nul", "crlf", "last-line-open", "byte-order-mark"];
    "comments": "`#` or `!` outside double quotes; `\\#`, `\\!`, `${_HASH}`, `${_BANG}` are the characters",
        ["comments", "notify-comment", "global-router-id"];
    "words": "apart by blanks; `\"...\"` is one word; one whose quote is not closed is left out",
        ["words-quoted", "quote-open", "quote-open-value", "keyword-case"];
    "commands": "quoted by `'` or `\"`, escapes `\\a \\b \\E \\f \\n \\r \\t \\v \\nnn \\xXX \\cC`; then user and group",
        ["notify-quoting", "notify-escapes", "notify-quote-inside", "notify-user", "script-user-unknown"];
    "blocks": "`{` on the line of the keyword or later, with or without a blank; what follows a brace on its line counts; one \
        item a line",
        ["braces-one-line", "braces-next-line", "braces-late", "braces-glued", "brace-in-value", "items-on-one-line"];
    "braces missing or too many": "reported where they are missed, and reading goes on; an unknown block is skipped as a whole \
        (keepalived reads what is in it)",
        ["brace-missing", "brace-missing-inside", "brace-extra", "brace-not-there", "brace-on-value", "unknown-block"];
    "unknown keywords": "reported and skipped, never fatal", ["unknown-keyword", "unknown-block"];
    "repeated keywords": "the last one counts, lists and `global_defs` add up", ["keyword-twice", "global-twice"];
    "BOOL": "`on true yes`, `off false no` in lower case, or the keyword alone", ["bool", "bool-wrong"];
    "numbers": "base 10; seconds as decimals to the microsecond", ["numbers", "numbers-wrong", "numbers-out-of-range"];
    "`include`": "patterns as of glob(3) with csh's `{a,b}`; relative to the including file; neither directories nor executable \
        files", ["include", "include-missing", "include-braces", "include-some", "include-directory", "include-quoted",
        "include-loop", "include-by-list"];
    "`includer` `includem` `includew` `includeb` `includea`": "the same, and without what they demand there is no configuration",
        ["include-forms", "include-lenient", "include-demanded-m", "include-demanded-w", "include-demanded-b",
        "include-demanded-a"];
    "`include_check`, `-e`": "what plain includes demand", ["include-check", "include-check-signs", "include-check-wrong"];
    "`@id`, `@^id`": "the line counts where the configuration id is this, or is another", ["condition"];
    "`$NAME=value`": "used as `$NAME` or `${NAME}`, put in late and again in what was put in; several lines by `\\`; not defined: \
        left as it is", ["definitions", "definitions-late", "definitions-lines", "definition-loop", "definition-wrong",
        "definition-of-definition-name", "include-definitions"];
    "`${_PWD}` `${_INSTANCE}` `${_RANDOM MIN MAX}` `${_ENV NAME}` `${_HASH}` `${_BANG}`": "known without a definition",
        ["definitions-known"];
    "`~SEQ`, `~SEQx`": "upwards, downwards, by steps, hexadecimal", ["sequence", "sequence-hexadecimal", "sequence-wrong",
        "sequence-too-long", "repetition"];
    "`~LST`": "of one name or several; inside each other", ["list", "list-wrong", "repetitions-nested"];
    "order": "a tracker is defined before it is used; defaults of `global_defs` hold for what follows",
        ["script-late", "script-undefined", "defaults-too-late", "strict-late", "answers-global-late", "sync-group-late"];
    "load balancing": "`virtual_server`, `virtual_server_group`, `SSL` and what belongs to them are passed over",
        ["load-balancing", "lvs-mixed"];
}

/// The flags that `keepalived -h` lists, by their short and long names.
pub const FLAGS: &[(Option<char>, &str)] = &[
    (Some('f'), "use-file"),
    (Some('P'), "vrrp"),
    (Some('C'), "check"),
    (Some('B'), "no_bfd"),
    (None, "all"),
    (Some('l'), "log-console"),
    (Some('D'), "log-detail"),
    (Some('S'), "log-facility"),
    (Some('g'), "log-file"),
    (None, "flush-log-file"),
    (Some('G'), "no-syslog"),
    (Some('u'), "umask"),
    (Some('X'), "release-vips"),
    (Some('V'), "dont-release-vrrp"),
    (Some('I'), "dont-release-ipvs"),
    (Some('R'), "dont-respawn"),
    (Some('n'), "dont-fork"),
    (Some('d'), "dump-conf"),
    (Some('p'), "pid"),
    (Some('r'), "vrrp_pid"),
    (Some('c'), "checkers_pid"),
    (Some('b'), "bfd_pid"),
    (Some('T'), "genhash"),
    (Some('a'), "address-monitoring"),
    (Some('x'), "snmp"),
    (Some('A'), "snmp-agent-socket"),
    (Some('s'), "namespace"),
    (Some('m'), "core-dump"),
    (Some('M'), "core-dump-pattern"),
    (Some('e'), "all-config"),
    (Some('i'), "config-id"),
    (None, "ignore-sigint"),
    (None, "signum"),
    (Some('t'), "config-test"),
    (None, "perf"),
    (None, "debug"),
    (Some('v'), "version"),
    (Some('h'), "help"),
];
