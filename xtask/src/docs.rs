//! `cargo xtask docs`: writes the reference pages and the OpenAPI document, which are derived from the table of
//! operations, to `docs/api`.

use crate::project;
use anyhow::{Context, Result, bail};
use clap::Args;
use hiroba_api::reference::{Document, documents};
use std::path::Path;

/// Folder of the derived documents. It holds nothing else.
const FOLDER: &str = "docs/api";

/// Command line of `cargo xtask docs`.
#[derive(Debug, Args)]
pub(crate) struct DocsArguments {
    /// Write nothing; fail when a file differs from what would be written.
    #[arg(long)]
    check: bool,
}

/// Runs the task.
pub(crate) fn run(arguments: &DocsArguments) -> Result<()> {
    let documents = documents(&hiroba_api::table());
    let folder = project::root().join(FOLDER);
    let stale = stale(&documents, &folder)?;
    if !arguments.check {
        return write(&documents, &folder, &stale);
    }
    for name in &stale {
        println!("{FOLDER}/{name} is not what the operations say");
    }
    if !stale.is_empty() {
        bail!("{} derived documents differ; `cargo xtask docs` rewrites them", stale.len());
    }
    println!("{FOLDER} is current");
    Ok(())
}

/// Names of the files that differ, are missing, or belong to nothing.
fn stale(documents: &[Document], folder: &Path) -> Result<Vec<String>> {
    let mut stale: Vec<String> = documents
        .iter()
        // A file that cannot be read is as good as another one.
        .filter(|document| {
            std::fs::read_to_string(folder.join(&document.name)).ok().as_ref() != Some(&document.text)
        })
        .map(|document| document.name.clone())
        .collect();
    if folder.exists() {
        let entries = std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
        for entry in entries {
            let name = entry.with_context(|| format!("listing {}", folder.display()))?.file_name();
            let name = name.to_string_lossy().into_owned();
            if !documents.iter().any(|document| document.name == name) {
                stale.push(name);
            }
        }
    }
    Ok(stale)
}

fn write(documents: &[Document], folder: &Path, stale: &[String]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for name in stale {
        let path = folder.join(name);
        match documents.iter().find(|document| document.name == *name) {
            Some(document) => std::fs::write(&path, &document.text),
            None => std::fs::remove_file(&path),
        }
        .with_context(|| format!("writing {}", path.display()))?;
        println!("{FOLDER}/{name}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temp_dir::TempDir;

    #[test]
    fn stale_files_are_rewritten_and_foreign_ones_removed() {
        let folder = TempDir::create("docs-test", None).unwrap();
        let document = |name: &str| Document { name: name.to_owned(), text: format!("about {name}") };
        let documents = [document("a.md"), document("b.md"), document("c.md")];
        std::fs::write(folder.path().join("a.md"), "about a.md").unwrap();
        std::fs::write(folder.path().join("b.md"), "old").unwrap();
        std::fs::write(folder.path().join("gone.md"), "of a service that is no more").unwrap();
        let names = stale(&documents, folder.path()).unwrap();
        assert_eq!(names, ["b.md", "c.md", "gone.md"]);
        write(&documents, folder.path(), &names).unwrap();
        assert!(stale(&documents, folder.path()).unwrap().is_empty());
        assert!(!folder.path().join("gone.md").exists());
    }
}
