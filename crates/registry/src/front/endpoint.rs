//! The endpoints that requests are counted by.

use crate::route::Route;

/// An endpoint, by which requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Base,
    Blob,
    Catalog,
    Manifest,
    Other,
    Page,
    Referrers,
    Tags,
    Upload,
}

pub(super) const ENDPOINTS: [&str; 9] =
    ["base", "blob", "catalog", "manifest", "other", "page", "referrers", "tags", "upload"];

impl Endpoint {
    pub(super) fn of(path: &str) -> Self {
        match Route::parse(path) {
            Ok(Route::Base) => Self::Base,
            Ok(Route::Blob(..)) => Self::Blob,
            Ok(Route::Catalog) => Self::Catalog,
            Ok(Route::Home) => Self::Page,
            Ok(Route::Manifest(..)) => Self::Manifest,
            Ok(Route::Referrers(..)) => Self::Referrers,
            Ok(Route::Tags(_)) => Self::Tags,
            Ok(Route::Upload(..) | Route::Uploads(_)) => Self::Upload,
            Err(_) => Self::Other,
        }
    }
}
