//! A segment of the log: its header, its frames by dataset, and what lies behind the last of them.

use std::collections::BTreeMap;
use std::path::Path;

use model::error::Result;
use serde_json::{Value, json};
use store::log::look::{Held, Segment, Tail, look};

use super::Found;
use super::home::Home;
use crate::job::show::number;

pub async fn inspect(path: &Path, home: &Home) -> Result<Found> {
    let segment = look(path)?;
    let arns = match home.catalog().await? {
        Some(mut catalog) => catalog.datasets().await?,
        None => BTreeMap::new(),
    };
    let is_damaged = matches!(segment.tail, Tail::Damaged { .. });
    Ok(Found { told: told(path, &segment, &arns), text: text(path, &segment, &arns), is_damaged })
}

fn arn(id: u64, arns: &BTreeMap<i64, String>) -> Option<&str> {
    arns.get(&id.cast_signed()).map(String::as_str)
}

fn held(held: &Held) -> Value {
    json!({
        "frames": held.frames, "sealedFrames": held.sealed, "records": held.records, "bytes": held.bytes,
        "positionMin": held.position_min, "positionMax": held.position_max,
        "sequenceMin": held.sequence_min, "sequenceMax": held.sequence_max,
    })
}

fn told(path: &Path, segment: &Segment, arns: &BTreeMap<i64, String>) -> Value {
    let datasets = segment.datasets.iter().map(|(id, of)| {
        let mut told = held(of);
        told["datasetId"] = json!(id);
        told["datasetArn"] = json!(arn(*id, arns));
        told
    });
    let mut told = held(&segment.held);
    told["kind"] = json!("segment");
    told["path"] = json!(path.display().to_string());
    told["format"] = json!(segment.version);
    told["sizeBytes"] = json!(segment.size_bytes);
    told["start"] = json!(segment.start);
    told["end"] = json!(segment.end);
    told["datasets"] = datasets.collect();
    told["torn"] = match segment.tail {
        Tail::Torn { offset, bytes } => json!({ "byte": offset, "bytes": bytes }),
        _ => Value::Null,
    };
    told["damage"] = match segment.tail {
        Tail::Damaged { offset } => {
            json!({ "byte": offset, "what": "what was durable is not what was written" })
        }
        _ => Value::Null,
    };
    told
}

fn text(path: &Path, segment: &Segment, arns: &BTreeMap<i64, String>) -> String {
    let format = segment.version.map_or("no header".to_owned(), |version| format!("format {version}"));
    let mut text = format!(
        "{}\n  segment, {format}, {} bytes, positions {} to {}\n",
        path.display(),
        number(segment.size_bytes),
        segment.start,
        segment.end
    );
    text.push_str(&format!("  {}\n", of(&segment.held)));
    for (id, held) in &segment.datasets {
        let name = arn(*id, arns).map_or_else(|| format!("dataset {id}"), str::to_owned);
        text.push_str(&format!("    {name}: {}\n", of(held)));
    }
    text.push_str(&match segment.tail {
        Tail::Free { bytes } => format!("  {} bytes are free behind them\n", number(bytes)),
        Tail::Torn { offset, bytes } => format!(
            "  behind byte {offset} lie {} bytes of a write that was cut off or goes on; nobody was told that it is there\n",
            number(bytes)
        ),
        Tail::Damaged { offset } => format!("  DAMAGED at byte {offset}: what was durable is not what was written\n"),
    });
    text
}

fn of(held: &Held) -> String {
    let sealed = match held.sealed {
        0 => String::new(),
        all if all == held.frames => ", sealed".to_owned(),
        some => format!(", {} of them sealed", number(some)),
    };
    let numbers = match (held.sequence_min, held.sequence_max) {
        (Some(min), Some(max)) => format!(", numbers {min} to {max}"),
        _ => String::new(),
    };
    let (frames, records, bytes) = (number(held.frames), number(held.records), number(held.bytes));
    format!("{frames} frames{sealed}, {records} records, {bytes} bytes{numbers}")
}
