//! The door as the dispatcher sees it: verified requests in, whole answers out.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

mod bucket;
mod condition;
mod copy;
mod crash;
mod delete;
mod harness;
mod list;
mod multipart;
mod object;
mod permission;
