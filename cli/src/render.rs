//! `coffer render`: prints the files of a template or of a class, from sample data or from Vault.

mod live;
mod sample;
mod template;

use std::io::{self, Write};
use std::process::ExitCode;

use coffer_provider::class::{Class, Plan};
use coffer_provider::settings::TrustedAddresses;
use coffer_provider::{RenderedFile, Settings, render_sample};
use rustls::crypto::CryptoProvider;
use thiserror::Error;

use self::live::LiveReadError;
use self::sample::{SampleData, SampleError};
use self::template::TemplateFileError;
use crate::args::RenderArgs;
use crate::manifest::class::ClassManifest;
use crate::manifest::{self, ManifestError};
use crate::table::printable;

/// Why nothing is printed.
#[derive(Debug, Error)]
pub(crate) enum RenderError {
    /// The runtime for requests does not start.
    #[error("cannot start a runtime: {0}")]
    Runtime(#[source] io::Error),
    /// The template cannot be rendered.
    #[error(transparent)]
    Template(#[from] TemplateFileError),
    /// The sample data cannot be used.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The manifest has no class to render.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There is a mistake in the class, or the data does not fit it.
    #[error("class {class}: {error:#}")]
    Class {
        /// The class.
        class: String,
        /// What is wrong.
        error: Box<coffer_provider::Error>,
    },
    /// The class has no such object.
    #[error("class {class} has no object {object:?}; it has {}", known.join(", "))]
    NoObject {
        /// The class.
        class: String,
        /// The name that is wanted.
        object: String,
        /// The names of its objects.
        known: Vec<String>,
    },
    /// Vault cannot be read.
    #[error(transparent)]
    Live(#[from] LiveReadError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

impl RenderError {
    /// Returns 1 for a mistake in what was given, else 2.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Template(error) if error.is_unreadable() => 2,
            Self::Sample(SampleError::File { .. }) | Self::Manifest(ManifestError::File { .. }) => 2,
            Self::Template(_) | Self::Sample(_) | Self::Manifest(_) => 1,
            Self::Class { .. } | Self::NoObject { .. } => 1,
            Self::Live(error) => error.exit_code(),
            Self::Runtime(_) | Self::Output(_) => 2,
        }
    }
}

/// Renders, and prints the files or what is wrong.
pub(crate) fn run(args: &RenderArgs) -> ExitCode {
    match rendered(args).and_then(|files| print(&files).map_err(RenderError::Output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coffer: {}", printable(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}

fn rendered(args: &RenderArgs) -> Result<Vec<RenderedFile>, RenderError> {
    let sample = args.data.as_deref().map(SampleData::read).transpose()?;
    if let (Some(file), Some(sample)) = (&args.template, &sample) {
        return Ok(vec![template::render(file, args, sample)?]);
    }
    let file = args.class.as_deref().unwrap_or_else(|| unreachable!("clap asks for one of the two"));
    let manifest = manifest::read_class(file, args.name.as_deref())?;
    match sample {
        Some(sample) => of_sample(&manifest, args.object.as_deref(), &sample),
        None => {
            // fails only if a crypto provider is installed already, which serves as well
            let _ = CryptoProvider::clone(&coffer_connect::crypto_provider()).install_default();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let read = live::files(args, &manifest);
            runtime.map_err(RenderError::Runtime)?.block_on(read)
        }
    }
}

fn of_sample(
    manifest: &ClassManifest,
    object: Option<&str>,
    sample: &SampleData,
) -> Result<Vec<RenderedFile>, RenderError> {
    let of_class = |error| RenderError::Class { class: manifest.name.clone(), error: Box::new(error) };
    // which addresses the operator trusts counts for mounts alone
    let settings = Settings { trusted_addresses: TrustedAddresses::All, ..Settings::default() };
    let mut class = Class::parse(&manifest.parameters, &settings).map_err(of_class)?;
    choose(&mut class, &manifest.name, object)?;
    let mut files = Vec::new();
    for object in &class.objects {
        let asked = object.source.requests().iter().map(|request| sample.answer(&request.path));
        let answers = asked.collect::<Result<Vec<_>, _>>()?;
        files.extend(render_sample(object, &answers).map_err(of_class)?);
    }
    Ok(files)
}

/// Leaves only the object with this name in a class.
fn choose(class: &mut Class, name: &str, object: Option<&str>) -> Result<(), RenderError> {
    let Some(object) = object else { return Ok(()) };
    let known = class.objects.iter().map(|object| object.name().to_owned()).collect();
    class.objects.retain(|known| known.name() == object);
    if class.objects.is_empty() {
        let (class, object) = (name.to_owned(), object.to_owned());
        return Err(RenderError::NoObject { class, object, known });
    }
    class.plan = Plan::new(&mut class.objects);
    Ok(())
}

/// Prints one file as it is, and several with their paths above them, as `head` does.
fn print(files: &[RenderedFile]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (n, file) in files.iter().enumerate() {
        if files.len() > 1 {
            let gap = if n > 0 { "\n" } else { "" };
            writeln!(out, "{gap}==> {} <==", printable(&file.path))?;
        }
        out.write_all(file.contents.expose())?;
    }
    out.flush()
}
