//! Tasks and results as rows: a task's number with its text, a result's number with who made it and its text.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};

/// What came of the task with this number.
#[derive(Debug, PartialEq)]
pub struct Done {
    pub number: u32,
    pub executor: String,
    pub result: String,
}

pub fn task_schema() -> SchemaRef {
    schema(&["task"])
}

pub fn done_schema() -> SchemaRef {
    schema(&["executor", "result"])
}

pub fn task(number: u32, task: &str) -> Result<RecordBatch, ArrowError> {
    row(task_schema(), number, &[task])
}

pub fn done(done: &Done) -> Result<RecordBatch, ArrowError> {
    row(done_schema(), done.number, &[&done.executor, &done.result])
}

/// The tasks of a batch.
///
/// # Errors
/// When it is no batch of tasks.
pub fn tasks(batch: &RecordBatch) -> Result<Vec<(u32, String)>> {
    let (numbers, tasks) = (numbers(batch)?, texts(batch, 1)?);
    Ok((0..batch.num_rows()).map(|i| (numbers.value(i), tasks.value(i).to_owned())).collect())
}

/// The results of a batch.
///
/// # Errors
/// When it is no batch of results.
pub fn results(batch: &RecordBatch) -> Result<Vec<Done>> {
    let (numbers, executors, results) = (numbers(batch)?, texts(batch, 1)?, texts(batch, 2)?);
    let done = |i| Done {
        number: numbers.value(i),
        executor: executors.value(i).to_owned(),
        result: results.value(i).to_owned(),
    };
    Ok((0..batch.num_rows()).map(done).collect())
}

fn schema(texts: &[&str]) -> SchemaRef {
    let number = Field::new("number", DataType::UInt32, false);
    let texts = texts.iter().map(|name| Field::new(*name, DataType::Utf8, false));
    Arc::new(Schema::new([number].into_iter().chain(texts).collect::<Vec<_>>()))
}

fn row(schema: SchemaRef, number: u32, texts: &[&str]) -> Result<RecordBatch, ArrowError> {
    let number: ArrayRef = Arc::new(UInt32Array::from(vec![number]));
    let texts = texts.iter().map(|text| Arc::new(StringArray::from(vec![*text])) as ArrayRef);
    RecordBatch::try_new(schema, [number].into_iter().chain(texts).collect())
}

fn numbers(batch: &RecordBatch) -> Result<&UInt32Array> {
    column(batch, 0)
}

fn texts(batch: &RecordBatch, at: usize) -> Result<&StringArray> {
    column(batch, at)
}

fn column<A: Array + 'static>(batch: &RecordBatch, at: usize) -> Result<&A> {
    let column = batch.columns().get(at).and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| DataFusionError::Internal(format!("column {at} is not what this build writes")))
}
