//! `cargo xtask tidy`: house rules that clippy cannot see.
//!
//! Each rule is a function from a file to its findings, so that a test can hold it against a few lines of text;
//! one more test holds them all against the repository.

use crate::project;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Lines that a source file may have; a longer one holds more than one thing.
const LINES_MAX: usize = 600;
/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

// The words below are cut in two, because the rules are held against this file as well.
const UNFINISHED: [&str; 2] = [concat!("to", "do!"), concat!("unimple", "mented!")];
const IGNORED_TEST: &str = concat!("#[ig", "nore");
/// Where packages come from differs by machine and is told by its configuration.
const REGISTRY_HOSTS: [&str; 8] = [
    concat!("registry.np", "mjs.org"),
    concat!("registry.ya", "rnpkg.com"),
    concat!("files.python", "hosted.org"),
    concat!("pypi.", "org"),
    concat!("index.cra", "tes.io"),
    concat!("static.cra", "tes.io"),
    concat!("deb.deb", "ian.org"),
    concat!("proxy.go", "lang.org"),
];
/// Starts of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
/// Operations are described without any of these (DESIGN: `api` does no I/O).
const API_BANS: [&str; 5] = ["axum", "rusqlite", "postgres", "mlua", "tokio"];
/// Rules of a service are written without any of these.
const SERVICE_BANS: [&str; 5] = ["axum", "rusqlite", "postgres", "hyper", "mlua"];

/// A broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// Line, counted from one.
    line: usize,
    message: String,
}

/// A file of the repository.
struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn is_rust(&self) -> bool {
        Path::new(self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// Whether this is a source file of a crate: `crates/*/src/**` or `xtask/src/**`.
    fn is_crate_source(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        self.is_rust() && matches!(parts.as_slice(), ["crates", _, "src", ..] | ["xtask", "src", ..])
    }

    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.to_owned(), line, message: message.into() }
    }

    /// Findings for every line in which the function sees a fault.
    fn lines(&self, fault: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        let lines = self.text.lines().enumerate();
        lines.filter_map(|(index, line)| Some(self.finding(index + 1, fault(line)?))).collect()
    }
}

const RULES: [fn(&Source<'_>) -> Vec<Finding>; 8] = [
    finished,
    short,
    named_module,
    no_ignored_test,
    no_registry_host,
    no_machine_path,
    layered,
    opens_with_its_purpose,
];

/// Runs the task.
pub(crate) fn run() -> Result<()> {
    let findings = check_repository(&project::root())?;
    for Finding { path, line, message } in &findings {
        println!("{path}:{line}: {message}");
    }
    if !findings.is_empty() {
        bail!("{} house rules are broken", findings.len());
    }
    println!("tidy");
    Ok(())
}

fn check_repository(root: &Path) -> Result<Vec<Finding>> {
    // New files count too: they are tracked by the time anybody else sees them.
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("running git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut findings = Vec::new();
    for path in listing.split_terminator('\0') {
        // Binary files and files that were just deleted have no lines to check.
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            let source = Source { path, text: &text };
            findings.extend(RULES.iter().flat_map(|rule| rule(&source)));
        }
    }
    for (path, _) in LONG_FILES {
        let lines = std::fs::read_to_string(root.join(path)).map_or(0, |text| text.lines().count());
        if lines <= LINES_MAX {
            let message = "is no longer long; take it off the list in tidy".to_owned();
            findings.push(Finding { path: (*path).to_owned(), line: 1, message });
        }
    }
    Ok(findings)
}

fn finished(source: &Source<'_>) -> Vec<Finding> {
    let unfinished = |line: &str| UNFINISHED.iter().find(|word| line.contains(*word));
    let fault = |line: &str| unfinished(line).map(|word| format!("{word} is unfinished work"));
    if source.is_rust() { source.lines(fault) } else { Vec::new() }
}

fn short(source: &Source<'_>) -> Vec<Finding> {
    let count = source.text.lines().count();
    let allowed = LONG_FILES.iter().any(|(path, _)| *path == source.path);
    if !source.is_crate_source() || count <= LINES_MAX || allowed {
        return Vec::new();
    }
    vec![source.finding(LINES_MAX + 1, format!("{count} lines, more than {LINES_MAX}: split it by resource"))]
}

fn named_module(source: &Source<'_>) -> Vec<Finding> {
    if source.path == "mod.rs" || source.path.ends_with("/mod.rs") {
        return vec![source.finding(1, "name the file after its module: foo.rs beside foo/")];
    }
    Vec::new()
}

fn no_ignored_test(source: &Source<'_>) -> Vec<Finding> {
    let fault = |line: &str| {
        line.contains(IGNORED_TEST)
            .then(|| "assert what happens today instead of ignoring the test".to_owned())
    };
    if source.is_rust() { source.lines(fault) } else { Vec::new() }
}

fn no_registry_host(source: &Source<'_>) -> Vec<Finding> {
    source.lines(|line| {
        let host = REGISTRY_HOSTS.iter().find(|host| line.contains(*host))?;
        Some(format!("{host} is a registry host; registries are a matter of the machine"))
    })
}

fn no_machine_path(source: &Source<'_>) -> Vec<Finding> {
    source.lines(|line| {
        let path = MACHINE_PATHS.iter().find(|path| names_path(line, path))?;
        Some(format!("{path} exists on one machine only"))
    })
}

/// Whether the line holds the absolute path, and not a longer relative one or an address that ends like it.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"_-.}>)~*".contains(before))
    })
}

/// Dependencies point downward: operations and services never name transports, databases or scripts.
fn layered(source: &Source<'_>) -> Vec<Finding> {
    let (bans, comment): (&[&str], &str) = if source.path == "crates/api/Cargo.toml" {
        (&API_BANS, "#")
    } else if source.is_rust()
        && (source.path.starts_with("crates/server/src/services/")
            || source.path == "crates/server/src/services.rs")
    {
        (&SERVICE_BANS, "//")
    } else {
        return Vec::new();
    };
    source.lines(|line| {
        let code = line.split(comment).next().unwrap_or_default();
        let ban = bans.iter().find(|ban| names_crate(code, ban))?;
        Some(format!("{ban} belongs to a layer that this file must not know"))
    })
}

/// Whether the code names the crate or one of its family, such as `tokio_util` for `tokio`.
fn names_crate(code: &str, name: &str) -> bool {
    code.split(|char: char| !char.is_alphanumeric() && char != '_' && char != '-').any(|word| {
        word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })
}

fn opens_with_its_purpose(source: &Source<'_>) -> Vec<Finding> {
    if !source.is_crate_source() || source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![source.finding(1, "open the file with a `//!` line that says what it is for")]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which lines of a text all rules together complain about.
    fn check(path: &str, text: &str, lines: &[usize]) {
        let source = Source { path, text };
        let findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&source)).collect();
        let found: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(found, lines, "{path}: {findings:?}");
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED {
            check("crates/api/src/lock.rs", &format!("//! Lock.\nfn lock() {{ {word}() }}"), &[2]);
            check("docs/notes.md", word, &[]);
        }
    }

    #[test]
    fn long_files_are_found() {
        let text = |count: usize| "//! Line.\n".repeat(count);
        check("crates/api/src/lock.rs", &text(LINES_MAX), &[]);
        check("crates/api/src/lock.rs", &text(LINES_MAX + 1), &[LINES_MAX + 1]);
        check("crates/api/tests/lock.rs", &text(LINES_MAX + 1), &[]);
    }

    #[test]
    fn module_files_have_names() {
        check("crates/api/src/lock/mod.rs", "//! Lock.", &[1]);
        check("crates/api/src/lock_mod.rs", "//! Lock.", &[]);
    }

    #[test]
    fn ignored_tests_are_found() {
        check(
            "crates/api/src/lock.rs",
            &format!("//! Lock.\n{IGNORED_TEST}]\n{IGNORED_TEST} = \"slow\"]"),
            &[2, 3],
        );
    }

    #[test]
    fn registry_hosts_are_found() {
        for host in REGISTRY_HOSTS {
            check(
                "tests/node/package-lock.json",
                &format!("{{\n\"resolved\": \"https://{host}/x.tgz\"\n}}"),
                &[2],
            );
        }
        check("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"", &[]);
    }

    #[test]
    fn machine_paths_are_found() {
        for path in MACHINE_PATHS {
            check("README.md", &format!("see {path}main"), &[1]);
            check("README.md", &format!("see `{path}main`"), &[1]);
            check("README.md", &format!("https://example.com{path}main and frame{path}x and ..{path}y"), &[]);
        }
    }

    #[test]
    fn layers_are_kept() {
        check(
            "crates/api/Cargo.toml",
            "[dependencies]\n# tokio is not for us\ntokio-util = \"1\"\nserde = \"1\"",
            &[3],
        );
        check("crates/store/Cargo.toml", "[dependencies]\npostgres.workspace = true", &[]);
        let service =
            "//! Not for axum.\nuse axum::Router;\nuse hyper_util::rt;\nlet postgresql = 1; // mlua";
        check("crates/server/src/services/lock.rs", service, &[2, 3]);
        check("crates/server/src/transport.rs", service, &[]);
    }

    #[test]
    fn files_open_with_their_purpose() {
        check("crates/api/src/lock.rs", "use std::fmt;", &[1]);
        check("crates/api/tests/lock.rs", "use std::fmt;", &[]);
    }

    #[test]
    fn the_repository_is_tidy() {
        let findings = check_repository(&project::root()).unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
