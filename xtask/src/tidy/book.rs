//! The pages that people read: the book in `docs/`, and the other documents.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Finding;
use super::tree::{File, Tree};
use xtask::run::root;

/// The table of contents of the book.
const SUMMARY: &str = "docs/SUMMARY.md";

/// How the line before a block of commands says that no test types them, and why.
const NOT_TYPED: &str = "<!-- not typed: ";

/// Finds pages that the book lists and lacks, or has and does not list; links that lead nowhere; and blocks
/// of commands that no test would type.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = check_summary(tree);
    let documents = tree.files.iter().filter(|file| is_document(&file.path));
    for document in documents {
        findings.extend(check_links(document, |path| page(tree, path)));
        findings.extend(check_blocks(document));
    }
    findings
}

/// Tells whether somebody reads a file as a page. Fixtures hold pages that are content.
fn is_document(path: &str) -> bool {
    is_page(path) && !["testdata/", "fuzz/"].iter().any(|start| path.starts_with(start))
}

fn is_page(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "md")
}

/// What a link leads to.
enum Target<'a> {
    Page(&'a str),
    Other,
    Nothing,
}

fn page<'a>(tree: &'a Tree, path: &str) -> Target<'a> {
    match tree.file(path) {
        Some(file) if is_page(path) => Target::Page(&file.text),
        Some(_) => Target::Other,
        None if root().join(path).exists() => Target::Other,
        None => Target::Nothing,
    }
}

fn check_summary(tree: &Tree) -> Vec<Finding> {
    let Some(summary) = tree.file(SUMMARY) else {
        return vec![Finding::violation(SUMMARY, "it is missing")];
    };
    let links = links(&summary.text);
    let listed: BTreeSet<_> = links.iter().filter_map(|(_, link)| resolve(SUMMARY, link)).collect();
    let pages = tree.files.iter().filter(|file| file.path.starts_with("docs/"));
    let pages = pages.filter(|file| is_page(&file.path) && file.path != SUMMARY);
    pages
        .filter(|file| !listed.contains(&file.path))
        .map(|file| Finding::violation(&file.path, format!("{SUMMARY} does not list this page")))
        .collect()
}

/// Finds links of a document to files, and to headings, that do not exist.
fn check_links<'a>(document: &File, target: impl Fn(&str) -> Target<'a>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, link) in links(&document.text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let found = match path {
            "" => Target::Page(&document.text),
            path => resolve(&document.path, path).map_or(Target::Nothing, |path| target(&path)),
        };
        let is_there = match found {
            Target::Page(text) => anchor.is_empty() || anchors(text).iter().any(|of| of == anchor),
            Target::Other => anchor.is_empty(),
            Target::Nothing => false,
        };
        if !is_there {
            let message = format!("the link `{link}` leads nowhere");
            findings.push(Finding::violation(document.line(index), message));
        }
    }
    findings
}

/// Finds blocks of commands in another language than those that are typed, and marks without a reason.
fn check_blocks(document: &File) -> Vec<Finding> {
    let lines = document.text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let message = match line.strip_prefix("```") {
                Some("bash" | "shell" | "zsh" | "shell-session") => {
                    "commands stand in blocks of `sh` or `console`, which a test types"
                }
                _ if line.starts_with(NOT_TYPED.trim_end())
                    && line.trim_start_matches(NOT_TYPED.trim_end()).trim() == "-->" =>
                {
                    "say why the commands are not typed"
                }
                _ => return None,
            };
            Some(Finding::violation(document.line(index), message))
        })
        .collect()
}

/// Returns the lines of a document outside of code, with their numbers counted from 0.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns where the links of a document lead, with the number of their line.
fn links(text: &str) -> Vec<(usize, &str)> {
    let links = prose(text).flat_map(|(index, line)| {
        let behind = line.split("](").skip(1);
        behind.filter_map(move |rest| Some((index, rest.split_once(')')?.0)))
    });
    links.collect()
}

/// Returns the anchors of a document's headings, as forges and mdBook make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    let slugs = headings.map(|(_, line)| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    });
    slugs.collect()
}

/// Returns the path from the workspace's directory to which a link of a document leads, if it stays there.
fn resolve(document: &str, link: &str) -> Option<String> {
    let mut path = PathBuf::from(document).parent()?.to_path_buf();
    for part in Path::new(link.split('#').next()?).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if !path.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    path.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn found(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_page_is_listed() {
        let summary = file(SUMMARY, "- [A](a.md)\n");
        let tree = Tree { files: vec![summary, file("docs/a.md", ""), file("docs/b/c.md", "")] };
        assert_eq!(
            found(&check_summary(&tree)),
            ["docs/b/c.md: docs/SUMMARY.md does not list this page"]
        );
    }

    #[test]
    fn links_must_lead_somewhere() {
        let text = "[a](b.md#one-and-two) [b](../x.md)\n[c](b.md#three) [d](gone.md)\n[e](#here)\n# Here\n\
                    ```text\n[f](gone.md)\n```\n[g](https://a.example/)\n";
        let document = file("docs/a.md", text);
        let findings = check_links(&document, |path| match path {
            "docs/b.md" => Target::Page("# `One` and *two*\n"),
            "x.md" => Target::Other,
            _ => Target::Nothing,
        });
        assert_eq!(
            found(&findings),
            [
                "docs/a.md:2: the link `b.md#three` leads nowhere",
                "docs/a.md:2: the link `gone.md` leads nowhere",
            ]
        );
    }

    #[test]
    fn commands_are_typed_or_say_why_not() {
        let text =
            "```sh\n```\n```bash\n```\n<!-- not typed: needs Docker -->\n<!-- not typed: -->\n";
        let findings = check_blocks(&file("README.md", text));
        assert_eq!(
            findings.iter().map(|of| &*of.place).collect::<Vec<_>>(),
            ["README.md:3", "README.md:6"]
        );
    }
}
