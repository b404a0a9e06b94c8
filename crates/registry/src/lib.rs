//! A server of the OCI distribution spec, over any place.
