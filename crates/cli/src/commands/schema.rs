//! `schema`: the JSON Schemas of what is printed, and of files.

use std::borrow::Cow;

use clap::ValueEnum as _;
use longshore_bundle::{Lock, Record, SCHEMA, mirror_schema};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::args::{self, Described};
use crate::documents::{
    CopyDocument, Deleted, DiffDocument, ErrorDocument, ExportDocument, FoundImage, GcDocument,
    ImportDocument, ImportedRoot, InitDocument, InspectDocument, KnownSchema, KnownType, ListLine,
    ListedRepository, LockDocument, LoginDocument, ManPages, MirrorDocument, PlaceDigest,
    ProgressEvent, ReceiptDocument, RequestLine, Script, ServeDocument, Tagged, TreeNode, Untagged,
    VerifyDocument,
};
use crate::output::{Output, table};
use crate::problem::{Exit, Problem};

pub(crate) fn run(args: &args::Schema, output: &Output) -> Result<Exit, Problem> {
    match args.of {
        None => list(output)?,
        // It is JSON, whether that was asked for or not.
        Some(of) => Output::bytes(text(of)?.as_bytes())?,
    }
    Ok(Exit::Done)
}

/// Prints what there are schemas of.
fn list(output: &Output) -> Result<(), Problem> {
    let words = Described::value_variants().iter().map(|of| of.words());
    let known: Vec<_> = words.map(|(name, title)| KnownSchema { name, title }).collect();
    tracing::debug!("there are {} schemas", known.len());
    output.result(&known, || {
        let row = |known: &KnownSchema| vec![known.name.clone(), known.title.clone()];
        let head = vec!["NAME".to_owned(), "WHAT".to_owned()];
        table(&[head].into_iter().chain(known.iter().map(row)).collect::<Vec<_>>())
    })
}

/// Returns a schema as it is printed.
fn text(of: Described) -> Result<String, Problem> {
    let mut schema = match of {
        Described::Completions => derived::<Script>(),
        Described::Copy => derived::<CopyDocument>(),
        Described::Delete => derived::<Vec<Deleted>>(),
        Described::Diff => derived::<DiffDocument>(),
        Described::Digest => derived::<Vec<PlaceDigest>>(),
        Described::Export => derived::<ExportDocument>(),
        Described::FindImages => derived::<Vec<FoundImage>>(),
        Described::Gc => derived::<GcDocument>(),
        Described::Import => derived::<ImportDocument>(),
        Described::Init => derived::<InitDocument>(),
        Described::Inspect => derived::<InspectDocument>(),
        Described::List => derived::<Listed>(),
        Described::Lock => derived::<LockDocument>(),
        Described::Login | Described::Logout => derived::<LoginDocument>(),
        Described::Man => derived::<ManPages>(),
        Described::Receipt => derived::<ReceiptDocument>(),
        Described::Schema => derived::<Vec<KnownSchema>>(),
        Described::Serve => derived::<ServeDocument>(),
        Described::Tag => derived::<Tagged>(),
        Described::Tree => derived::<Vec<TreeNode>>(),
        Described::Types => derived::<Vec<KnownType>>(),
        Described::Untag => derived::<Vec<Untagged>>(),
        Described::Verify => derived::<VerifyDocument>(),
        Described::Error => derived::<ErrorDocument>(),
        Described::Progress => derived::<ProgressEvent>(),
        Described::AccessLog => derived::<RequestLine<'_>>(),
        Described::Mirror => derived::<MirrorDocument>(),
        Described::MirrorYaml => return Ok(format!("{:#}", mirror_schema())),
        Described::ImportReport => derived::<Vec<ImportedRoot>>(),
        Described::BundleLock => derived::<Lock>(),
        Described::BundleJson => derived::<Record>(),
        Described::BundleYaml => return Ok(SCHEMA.to_owned()),
    };
    let (name, about) = of.words();
    schema.insert("title".to_owned(), name.into());
    schema.insert("description".to_owned(), about.into());
    let text = serde_json::to_string_pretty(&schema);
    let text =
        text.map_err(|error| Problem::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
    Ok(text + "\n")
}

/// Returns the schema of a type as it is written: what is left out is never null.
fn derived<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with_transform(RecursiveTransform(without_null));
    let settings = settings.with_transform(RecursiveTransform(on_one_line));
    settings.into_generator().into_root_schema_for::<T>()
}

/// Takes null from what members may be that may be left out.
fn without_null(schema: &mut Schema) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(Value::Object(members)) = schema.get_mut("properties") else { return };
    for (name, member) in members {
        if required.iter().any(|required| required == name) {
            continue;
        }
        let Value::Object(member) = member else { continue };
        if let Some(Value::Array(types)) = member.get_mut("type") {
            types.retain(|of| of != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                member.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(kinds)) = member.get_mut("anyOf") {
            kinds.retain(|of| of["type"] != "null");
            if let [Value::Object(only)] = &kinds[..] {
                let only = only.clone();
                member.remove("anyOf");
                member.extend(only);
            }
        }
    }
}

/// Joins the lines of a description, which end where those of a source do.
fn on_one_line(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

/// What `list` prints: of a place, or of a registry that is given by its host alone.
struct Listed;

impl JsonSchema for Listed {
    fn schema_name() -> Cow<'static, str> {
        "Listed".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let place = generator.subschema_for::<Vec<ListLine<'_>>>();
        let registry = generator.subschema_for::<Vec<ListedRepository>>();
        json_schema!({ "anyOf": [place, registry] })
    }
}
