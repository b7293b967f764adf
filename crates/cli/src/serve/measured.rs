//! What is counted of the front: connections, bytes, requests, and what is told to others.

mod requests;

use catalog::Delivery;
use measure::{Counter, Counters, Families, Gauge};

pub use requests::{Answered, REQUESTS};

pub static RECEIVED: Counter =
    Counter::new("lade_received_bytes_total", "Bytes that came from clients, as they are on the wire.");

pub static SENT: Counter =
    Counter::new("lade_sent_bytes_total", "Bytes that went to clients, as they are on the wire.");

pub static OPEN: Gauge = Gauge::new("lade_connections_open", "Connections of clients that are open.");

pub static MOST: Gauge = Gauge::new("lade_connections_max", "Connections that may be open at once.");

pub static ACCEPTED: Counter =
    Counter::new("lade_connections_accepted_total", "Connections of clients that were taken.");

pub static AUDIT_LOST: Counter = Counter::new(
    "lade_audit_lines_lost_total",
    "Lines of the audit log that are lost, because they came too fast or the disk took none.",
);

static REFUSED: Counters<4> = Counters::new(
    "lade_connections_refused_total",
    "Connections that came to nothing: idle ones that had to make room, failed TLS handshakes, plain HTTP where TLS is \
     spoken, and those that the system did not hand over.",
    ["reason=\"no_room\"", "reason=\"handshake\"", "reason=\"plain_http\"", "reason=\"accept\""],
);

static DELIVERIES: Counters<3> = Counters::new(
    "lade_webhook_deliveries_total",
    "Attempts to tell the webhook of an event, by what came of them.",
    ["result=\"delivered\"", "result=\"retried\"", "result=\"given_up\""],
);

/// Why a connection came to nothing.
#[derive(Clone, Copy)]
pub enum Refusal {
    NoRoom,
    Handshake,
    PlainHttp,
    Accept,
}

pub fn refused(why: Refusal) {
    REFUSED.add(why as usize, 1);
}

/// What came of an attempt to deliver an event.
pub fn delivered(delivery: Delivery) {
    let place = match delivery {
        Delivery::Delivered => 0,
        Delivery::Waiting => 1,
        Delivery::GivenUp => 2,
    };
    DELIVERIES.add(place, 1);
}

/// All of it, but the requests, which have a form of their own.
pub static FAMILIES: Families =
    &[&RECEIVED, &SENT, &OPEN, &MOST, &ACCEPTED, &REFUSED, &DELIVERIES, &AUDIT_LOST, &REQUESTS];
