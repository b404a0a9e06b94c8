//! Types.
/// T
pub struct ArtifactType;
/// F
pub enum Family {}
