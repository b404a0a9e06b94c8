//! The store: the layout that is used where none is named.

use std::path::PathBuf;

/// Where the store is, if not where programs keep what users give them.
pub(crate) const VARIABLE: &str = "LONGSHORE_STORE";

/// Returns the path of the store; `None` if there is no home directory to find it in.
pub(crate) fn path() -> Option<PathBuf> {
    let path =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The XDG base directory specification: a path that is not absolute does not count.
    let data = path("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let data = || data.or_else(|| Some(path("HOME")?.join(".local/share")));
    path(VARIABLE).or_else(|| Some(data()?.join("longshore")))
}
