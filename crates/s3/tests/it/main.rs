//! The door as the dispatcher sees it: verified requests in, whole answers out.

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
