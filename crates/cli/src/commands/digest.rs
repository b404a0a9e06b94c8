//! `digest`: what a name stands for.

use super::delta;
use crate::args::Digest;
use crate::documents::PlaceDigest as Found;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

pub(crate) fn run(args: &Digest, output: &Output) -> Result<Exit, Problem> {
    let registries = Registries::reading(&args.reading);
    let find = |place| {
        let opened = open::place(place, &args.reading, &registries)?;
        let delta = delta::record(&opened);
        let root = open::select_in(&*delta::view(&opened, delta.as_ref()), &opened, place)?;
        Ok(Found { place: place.to_string(), digest: root.descriptor.digest.to_string() })
    };
    let found = args.places.iter().map(find).collect::<Result<Vec<_>, Problem>>()?;
    output.result(&found, || found.iter().map(|found| format!("{}\n", found.digest)).collect())?;
    Ok(Exit::Done)
}
