//! A local folder of blobs.
/// A local folder of blobs.
#[derive(Debug)]
pub struct LocalBlobs;
