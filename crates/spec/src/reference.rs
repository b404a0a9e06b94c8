//! References.
/// R
pub struct Reference;
/// R
pub struct RepositoryName;
/// R
pub struct Tag;
/// R
pub struct ReferenceError;
