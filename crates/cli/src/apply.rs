//! `lade apply`: makes what a file declares, through the same doors that every client uses.

mod doors;
mod file;
mod item;
mod members;
mod mention;
mod names;
mod plan;
mod yaml;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use model::error::{Context, Error, Result};
use serde_json::{Value, json};

use crate::client::server::Choice;
use crate::{say, serve};
use doors::Doors;
use item::{Attributes, Item, Kind};
use names::Names;
use plan::{Action, Step};
use yaml::Fault;

/// Options of `lade apply`.
#[derive(clap::Args)]
#[command(
    after_help = "Shows what it would make (+) and change (~), asks, and does it in the order that it takes. What the file does not\n\
name stays as it is. Done again, it changes nothing.\n\nExamples:
  lade apply -f personalize.yaml --plan
  lade apply -f personalize.yaml --yes"
)]
pub struct Args {
    /// File that declares what there should be
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    /// Show what would be done, and do nothing
    #[arg(long)]
    plan: bool,

    /// Do it without asking
    #[arg(long, conflicts_with = "plan")]
    yes: bool,

    /// Print the plan as JSON
    #[arg(long)]
    json: bool,

    /// What becomes of things that the file does not name: they stay
    #[arg(long, value_name = "no", default_value = "no", value_parser = ["no"])]
    prune: String,

    #[command(flatten)]
    server: Choice,
}

/// Exits with 1 when the file is wrong, or something can't be made or changed.
pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(apply(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn apply(args: &Args) -> Result<()> {
    let shown = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|cause| Error::invalid(format!("{shown} can't be read")).caused_by(cause))?;
    let wrong = |fault: Fault| {
        let path = if fault.path.is_empty() { String::new() } else { format!("{}: ", fault.path) };
        Error::invalid(format!("{shown}:{}:{}: {path}{}", fault.at.line, fault.at.column, fault.text))
    };
    let items = file::read(&text).map_err(wrong)?;
    let doors = Doors::of(&args.server)?;
    let (account, region) = doors.realm().await?;
    let mut names = Names::new(account, region, &items);
    doors.look_up_keys(&mut names).await?;
    if let Some(alias) = names.stray_key() {
        return Err(wrong(mention::stray_key(&yaml::read(&text).map_err(wrong)?, alias)));
    }
    let mut steps = Vec::new();
    for item in &items {
        steps.push(step(&doors, &names, item, names.resolve_for_plan(&item.wanted)).await?);
    }
    let problems: Vec<String> = steps.iter().flat_map(Step::problems).collect();
    let (made, changed, same) = plan::counts(&steps);
    if args.json {
        let told: Vec<Value> = steps.iter().map(Step::json).collect();
        say!("{}", json!({ "create": made, "change": changed, "same": same, "steps": told }));
    } else {
        steps.iter().flat_map(Step::lines).for_each(|line| say!("{line}"));
        match made + changed {
            0 => say!("Nothing to do: {same} are as the file says."),
            _ => say!("{made} to make, {changed} to change, {same} are as the file says."),
        }
    }
    if !problems.is_empty() {
        return Err(Error::invalid(format!("nothing was done: {}", problems.join("; "))));
    }
    if args.plan || made + changed == 0 || !(args.yes || asked()?) {
        return Ok(());
    }
    let to_do = items.iter().zip(&steps).filter(|(_, step)| step.action != Action::Nothing);
    let mut left = Vec::new();
    for (item, step) in to_do {
        let is_new_key = item.kind == Kind::Key && matches!(step.action, Action::Create(_));
        if is_new_key && make_key(&doors, &mut names, item).await? {
            tell_done(item);
        } else {
            left.push(item);
        }
    }
    for item in left {
        perform(&doors, &mut names, item).await?;
        tell_done(item);
    }
    Ok(())
}

/// Makes a key without what names keys that are not there yet, such as its own policy; whether it has all that it should.
async fn make_key(doors: &Doors, names: &mut Names, item: &Item) -> Result<bool> {
    let (late, known): (Attributes, Attributes) =
        item.wanted.clone().into_iter().partition(|(_, value)| names.waits_for_key(value));
    let about = |cause: Error| in_words(item, "make", cause);
    let known = names.resolve(&known).map_err(Error::invalid).map_err(about)?;
    doors.create(names, Kind::Key, &item.name, &known).await.map_err(about)?;
    doors.look_up_keys(names).await?;
    Ok(late.is_empty())
}

/// Tells how far it is; whether anybody reads that or not, the work goes on.
fn tell_done(item: &Item) {
    drop(writeln!(std::io::stderr(), "{} {} is as the file says", item.kind.as_str(), item.name));
}

/// What has to be done about an item as the server has it now; `wanted` are its attributes with their references resolved.
async fn step(doors: &Doors, names: &Names, item: &Item, wanted: Result<Attributes, String>) -> Result<Step> {
    let about = |cause: Error| in_words(item, "look at", cause);
    let wanted = wanted.map_err(Error::invalid).map_err(about)?;
    let found = doors.find(names, item).await.map_err(about)?;
    Ok(Step::of(item, wanted, found))
}

/// Looks again and does it: by now everything that the item needs is there.
async fn perform(doors: &Doors, names: &mut Names, item: &Item) -> Result<()> {
    let about = |cause: Error| in_words(item, "make", cause);
    let step = step(doors, names, item, names.resolve(&item.wanted)).await?;
    match &step.action {
        Action::Nothing => {}
        Action::Create(wanted) => {
            doors.create(names, item.kind, &item.name, wanted).await.map_err(about)?;
        }
        Action::Change(changes) => {
            // A schedule is put as a whole.
            let wanted: Attributes = match item.kind {
                Kind::Schedule => names.resolve(&item.wanted).map_err(Error::invalid)?,
                _ => changes.iter().map(|change| (change.attribute.clone(), change.new.clone())).collect(),
            };
            doors.change(names, item.kind, &item.name, &wanted).await.map_err(about)?;
        }
    }
    if item.kind == Kind::Key {
        doors.look_up_keys(names).await?;
    }
    Ok(())
}

fn in_words(item: &Item, doing: &str, cause: Error) -> Error {
    let (kind, name, line) = (item.kind.as_str(), &item.name, item.at.line);
    let text = format!("could not {doing} the {kind} {name} (line {line}): {}", cause.message());
    Error::new(cause.kind, text)
}

/// Asks the person at the terminal.
///
/// # Errors
/// `Invalid` when nobody is there to be asked.
fn asked() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::invalid("nobody is there to be asked: --yes does it, --plan only shows it"));
    }
    eprint!("Do it? [y/N] ");
    let reading = || "read the answer".to_owned();
    std::io::stderr().flush().unavailable(reading)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).unavailable(reading)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
