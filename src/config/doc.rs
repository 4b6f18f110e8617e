//! docs/CONFIG.md is rendered from the table of keys, so that the page cannot promise what the server does not do.

use std::fmt::Write;

use super::keys::{
    Absent, AnyKey, DEVELOPMENT_KEYS, KEYS, OPERATOR_KEYS, OPERATORS, RESOURCE_KEYS, RESOURCES,
    RPC, RPC_KEYS, names, sections,
};
use super::load::variable;

/// How a person writes the page anew; the test that compares it says so too.
const COMMAND: &str = "countersign check --print-config-doc > docs/CONFIG.md";

/// What is said before the tables.
const OPENING: &str = "\
## Where values come from

A TOML file, named by `--config FILE` or by the variable `COUNTERSIGN_CONFIG`; above it the environment; above that the
flags `--listen`, `--operations-listen`, `--data-dir`, `--log-format` and `--log-level`. A key's variable is its name in capitals after
`COUNTERSIGN_`, with two underscores for a dot: `challenge.lifetime` is `COUNTERSIGN_CHALLENGE__LIFETIME`. Lists are
written with commas there: `COUNTERSIGN_DOMAINS=app.example,shop.example`. Resources, operators and nodes are
written in the file only.

An unknown key or `COUNTERSIGN_` variable is a fault, like every value out of its bounds. All faults are listed
together, each with its place and the accepted form, before a port is bound; `countersign check FILE` does just that.
(Variables that Kubernetes sets about a service named `countersign`, such as `COUNTERSIGN_SERVICE_HOST` and
`COUNTERSIGN_PORT_8700_TCP`, are passed over.)

A complete example is [examples/countersign.toml](../examples/countersign.toml).
";

/// What is said after them.
const CLOSING: &str = "\
## Without a file: development mode

For trying things on one machine. The listeners must be loopback; the issuer is `http://` and the address of the public
one; with `--listen 127.0.0.1:0` both ports are picked by the system. Any API and any application on loopback is
accepted, with any scope; a sign-in that asks for none gets `read`. There are no rate limits, tokens are bound to keys
all the same, sessions are kept in memory unless a folder is given, and the rest is as the defaults above say. Only these keys are taken, by variable or flag:";

/// The whole page, ending in a line feed.
pub fn render() -> String {
    let mut page = String::from("# Configuration\n\n");
    let _ = writeln!(page, "<!-- Generated: {COMMAND} -->\n");
    page.push_str(OPENING);
    table(&mut page, "At the top of the file", KEYS.iter().filter(|key| !key.name().contains('.')));
    for section in sections() {
        let inside = |key: &&&dyn AnyKey| {
            key.name().strip_prefix(section).is_some_and(|name| name.starts_with('.'))
        };
        table(&mut page, &format!("`[{section}]`"), KEYS.iter().filter(inside));
    }
    table(&mut page, &format!("`[[{RESOURCES}]]`, once for each API"), RESOURCE_KEYS.iter());
    table(&mut page, &format!("`[[{OPERATORS}]]`, once for each operator"), OPERATOR_KEYS.iter());
    table(
        &mut page,
        &format!("`[[{RPC}]]`, once for each chain whose nodes are asked"),
        RPC_KEYS.iter(),
    );
    let development: Vec<String> =
        names(DEVELOPMENT_KEYS).map(|name| format!("`{name}` (`{}`)", variable(name))).collect();
    let _ = writeln!(page, "\n{CLOSING}\n{}.", development.join(", "));
    page
}

fn table<'a>(page: &mut String, title: &str, keys: impl Iterator<Item = &'a &'static dyn AnyKey>) {
    let _ = writeln!(
        page,
        "\n## {title}\n\n| Key | Accepted | Default | What it decides |\n|---|---|---|---|"
    );
    for key in keys {
        let name = key.name().rsplit('.').next().unwrap_or_default();
        let (accepted, default) = (cell(&key.accepted()), cell(&absent(key.absent())));
        let _ = writeln!(page, "| `{name}` | {accepted} | {default} | {} |", cell(key.meaning()));
    }
}

fn absent(absent: &Absent) -> String {
    match absent {
        Absent::Required => "**required**".to_owned(),
        Absent::Default("") => "none".to_owned(),
        Absent::Default(text) => format!("`{text}`"),
        Absent::Means(words) => (*words).to_owned(),
    }
}

/// Text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIG.md");
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == render(), "docs/CONFIG.md is out of date; run: {COMMAND}");
    }

    #[test]
    fn the_page_names_every_key() {
        let page = render();
        let tables = [RESOURCE_KEYS, OPERATOR_KEYS, RPC_KEYS];
        for name in names(KEYS).chain(tables.into_iter().flat_map(names)) {
            let last = name.rsplit('.').next().unwrap_or_default();
            assert!(page.contains(&format!("| `{last}` |")), "{name}");
        }
    }
}
