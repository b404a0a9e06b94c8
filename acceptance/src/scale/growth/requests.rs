//! Requests to a server of a directory that holds much already.

use std::time::Instant;

use anyhow::Result;

use super::side::Side;
use super::table::Spent;
use super::{Kind, Run};

/// So often, at most, is asked for what changes nothing.
const MOST: u32 = 300;
/// The like for what changes the directory: it is to stay as large as it is.
const MOST_CHANGES: u32 = 50;
/// How often another program changes it.
const MOST_OTHERS: u32 = 5;

/// A request that is repeated.
pub(super) struct Request {
    name: &'static str,
    /// How often, at most.
    most: u32,
    /// What is done before each, and does not count.
    prepare: Step,
    ask: Step,
}

type Step = fn(&mut Side) -> Result<()>;

impl Request {
    /// Returns one that changes nothing.
    const fn new(name: &'static str, ask: Step) -> Self {
        Self { name, most: MOST, prepare: |_| Ok(()), ask }
    }

    /// Returns one that changes the directory.
    const fn change(name: &'static str, ask: Step) -> Self {
        Self { name, most: MOST_CHANGES, prepare: |_| Ok(()), ask }
    }

    /// Lets something else be done before each.
    const fn after(mut self, prepare: Step) -> Self {
        self.prepare = prepare;
        self
    }

    const fn at_most(mut self, most: u32) -> Self {
        self.most = most;
        self
    }
}

#[rustfmt::skip]
const REQUESTS: [Request; 22] = [
    Request::new("GET of a manifest", |side| side.ask("GET", "{here}/manifests/{tag}", 200)),
    Request::new("GET of a manifest, `ns`", |side| side.ask("GET", "{here}/manifests/{tag}?ns={host}", 200)),
    Request::new("HEAD of a manifest by its digest", |side| side.ask("HEAD", "{here}/manifests/{digest}", 200)),
    Request::new("HEAD of an absent tag", |side| side.ask("HEAD", "{here}/manifests/absent", 404)),
    Request::new("GET of a blob", |side| side.ask("GET", "{here}/blobs/{blob}", 200)),
    Request::new("HEAD of an absent blob", |side| side.ask("HEAD", "{here}/blobs/{absent}", 404)),
    Request::new("GET of an absent blob", |side| side.ask("GET", "{here}/blobs/{absent}", 404)),
    Request::new("HEAD of a blob of another repository", |side| side.ask("HEAD", "{new}/blobs/{blob}", 404)),
    Request::new("a page of 100 tags", |side| side.ask("GET", "{here}/tags/list?n=100&last=v1", 200)),
    Request::new("a page of 100 repositories", |side| side.ask("GET", "/v2/_catalog?n=100&last=team-1", 200)),
    Request::new("referrers of what is not there", |side| side.ask("GET", "{here}/referrers/{absent}", 200)),
    Request::new("referrers", |side| side.ask("GET", "{here}/referrers/{digest}", 200)),
    Request::new("mount of an absent blob", |side| side.begin("{new}/blobs/uploads/?mount={absent}"))
        .after(Side::cancel),
    Request::new("mount of an absent blob, `from`", |side| side.begin("{new}/blobs/uploads/?mount={absent}&from={repository}"))
        .after(Side::cancel),
    Request::change("mount of a blob", |side| side.ask("POST", "{new}/blobs/uploads/?mount={blob}", 201)),
    Request::change("mount of a blob, `from`", |side| side.ask("POST", "{new}/blobs/uploads/?mount={blob}&from={repository}", 201)),
    Request::change("push of an artifact", Side::push),
    Request::change("push into a new repository", Side::push_elsewhere),
    Request::change("move of a tag", Side::move_tag).after(Side::push),
    Request::change("DELETE of a tag", |side| side.ask("DELETE", "{here}/manifests/{pushed}", 202)).after(Side::push),
    Request::change("DELETE of a manifest", |side| side.ask("DELETE", "{here}/manifests/{pushed-digest}", 202))
        .after(Side::push),
    Request::new("HEAD after `tag`", |side| side.ask("HEAD", "{here}/manifests/{tag}", 200))
        .after(Side::tag_beside).at_most(MOST_OTHERS),
];

/// Measures every request where one repository has many tags, and where there are many repositories.
pub(super) fn measure(run: &mut Run<'_>) -> Result<()> {
    for kind in [Kind::Tags, Kind::Repositories] {
        let name = |request: &str| format!("{}: {request}", kind.plural());
        let (start, burst) = (name("start, and the first answer"), name("a push of many at once"));
        run.rows([&start], kind, |run, count| {
            let (layout, begun) = (run.layouts.of(kind, count)?, Instant::now());
            Ok([Side::new(run.program, kind, count, layout)?.first(begun)?])
        });
        let requests = REQUESTS.iter().map(|request| (name(request.name), request));
        let requests: Vec<_> = requests.filter(|(name, _)| run.table.wants(name)).collect();
        if requests.is_empty() && !run.table.wants(&burst) {
            continue;
        }
        let mut sides = Vec::new();
        for count in run.sizes(kind) {
            sides.push(Side::new(run.program, kind, count, run.layouts.own(kind, count)?)?);
        }
        let mut measure = |name: &str, job: &dyn Fn(&mut Side) -> Result<Spent>| {
            run.rows([name], kind, |_, count| {
                let side = sides.iter_mut().find(|side| side.count == count);
                Ok([job(side.expect("there is one for each size"))?])
            });
        };
        for (name, request) in requests {
            measure(&name, &|side| side.repeat(request.most, request.prepare, request.ask));
        }
        measure(&burst, &Side::push_at_once);
    }
    Ok(())
}
