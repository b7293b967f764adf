//! How much of the log is durable.

/// The end of what is durable: records before it are, none behind it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The position behind the last durable frame.
    pub position: u64,
    /// Records put since the start have smaller sequence numbers when, and only when, they lie before the position.
    pub sequence: u64,
}
