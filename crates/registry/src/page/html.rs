//! The page as HTML. The macros escape all content.

use longshore_spec::artifact_type::{ArtifactType, Family};
use longshore_spec::{RepositoryName, Size};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::commands::commands;
use super::inventory::{Artifact, Inventory, Referrer, Shelf, Weight};
use crate::options::Scheme;
use crate::query::encode;

/// How many repositories are listed by name.
const LISTED: usize = 500;

const STYLE: &str = include_str!("style.css");

pub(super) fn page((scheme, host): (Scheme, &str), inventory: &Inventory) -> Markup {
    let Inventory { repositories, only, shelves, more_after } = inventory;
    let title = only.as_ref().map_or_else(|| host.to_owned(), |only| format!("{host}/{only}"));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { a href="/" { (host) } }
                    p { "A registry of " (counted(repositories.len(), "repository", "repositories")) ", served by longshore." }
                }
                nav aria-label="repositories" {
                    ul {
                        @for name in repositories.iter().take(LISTED) {
                            li { (link(name, only.as_ref() == Some(name))) }
                        }
                    }
                    @if repositories.len() > LISTED {
                        p { "and " (repositories.len() - LISTED) " more" }
                    }
                }
                main {
                    @for shelf in shelves { (section((scheme, host), shelf)) }
                    @if shelves.is_empty() { p.empty { "Nothing more is here." } }
                    @if let Some(last) = more_after {
                        p.more { a href=(next(only.as_ref(), last)) rel="next" { "More" } }
                    }
                }
            }
        }
    }
}

fn link(name: &RepositoryName, is_shown: bool) -> Markup {
    html! {
        a href=(format!("/?repository={}", encode(name.as_str()))) aria-current=[is_shown.then_some("page")] { (name) }
    }
}

fn next(only: Option<&RepositoryName>, last: &str) -> String {
    let only = only.map(|name| format!("repository={}&", encode(name.as_str())));
    format!("/?{}last={}", only.unwrap_or_default(), encode(last))
}

fn section(host: (Scheme, &str), Shelf { name, artifacts, untagged }: &Shelf) -> Markup {
    html! {
        section {
            h2 { (link(name, false)) }
            @for artifact in artifacts { (article(host, name, artifact)) }
            @if *untagged > 0 {
                p.empty { (counted(*untagged, "manifest", "manifests")) " without a tag: referrers, parts of indexes, what lost its tag" }
            }
        }
    }
}

fn article(host: (Scheme, &str), name: &RepositoryName, artifact: &Artifact) -> Markup {
    let Artifact { tags, digest, artifact_type, platforms, weight, says, referrers, .. } = artifact;
    let selector = tags.first().map_or_else(|| format!("@{digest}"), |tag| format!(":{tag}"));
    html! {
        article {
            h3 { @for tag in tags { span.tag { (tag) } " " } }
            dl {
                dt { "type" }
                dd {
                    (artifact_type.name())
                    @if let Some(family) = artifact_type.family().filter(|of| *of != Family::Generic) {
                        " " span.quiet { (family.as_str()) }
                    }
                    @if artifact.is_index && artifact_type.name() != ArtifactType::INDEX {
                        span.quiet { ", index" }
                    }
                }
                @if !platforms.is_empty() { dt { "platforms" } dd { (platforms.join(", ")) } }
                dt { "size" }
                dd { @match weight {
                    Weight::Exactly(bytes) => (Size(*bytes)),
                    Weight::AtLeast(bytes) => { "at least " (Size(*bytes)) }
                } }
                dt { "digest" } dd { code { (digest) } }
                @for (what, text) in says { dt { (what) } dd { (text) } }
                @if let Some(problem) = &artifact.problem { dt { "problem" } dd.problem { (problem) } }
            }
            @for command in commands(host, name, &selector, artifact_type) {
                pre { code { (command) } }
            }
            @if !referrers.is_empty() {
                details {
                    summary { (counted(referrers.len() + artifact.more_referrers, "referrer", "referrers")) }
                    ul { @for referrer in referrers { li { (tied(referrer)) } } }
                    @if artifact.more_referrers > 0 { p { "and " (artifact.more_referrers) " more" } }
                }
            }
        }
    }
}

fn tied(Referrer { artifact_type, digest, tag }: &Referrer) -> Markup {
    html! {
        (artifact_type.name()) " " code { (digest) }
        @if let Some(tag) = tag { " by the tag " code { (tag) } }
    }
}

fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
