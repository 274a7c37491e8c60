//! The part of a run that makes the report: from the job's data to a PDF in the object store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use input::Format;
use jobs::{Content, Held, UploadFormat, UploadId, Violation};
use telemetry::metrics;
use tracing::{Instrument, info_span};
use typesetter::{Error, Options, OutputLimits, PdfStandard, Report, Request, UnknownName};

use crate::checkpoints::Checkpoints;
use crate::digest::Digest32;
use crate::failure::failure;
use crate::input::{Cutting, Data, Origin, Source, format_of, read_json, unpack, with_lines};
use crate::pipeline::{RECORDING_MARGIN, Run};
use crate::press::PressError;
use crate::scratch::{data_file, write_data};
use crate::sections::{LongError, LongReport, Rows};
use crate::trouble::Trouble;

impl Run<'_> {
    /// Typesets the report and puts it in the object store.
    pub(crate) async fn make_report(&self) -> Result<Report, Trouble> {
        let folder = self.processor.scratch.folder()?;
        let request = self.request(folder.path())?;
        let job_id = &self.job.id;
        let data = self.data(&request).instrument(info_span!("fetch", %job_id)).await?;
        let report = self.typeset(request, data).instrument(info_span!("typeset", %job_id)).await?;
        for diagnostic in &report.diagnostics {
            // What it says may quote the data.
            tracing::warn!(at = diagnostic.position(), "the template compiles with a warning");
        }
        let [file] = report.files.as_slice() else {
            return Err(Trouble::Transient(format!("the typesetter wrote {} files for one PDF", report.files.len())));
        };
        // The last look before an effect that no condition guards.
        if self.processor.closing.patience.insist(|| self.renew()).await? == Held::No {
            return Err(Trouble::Overtaken);
        }
        let (key, content) = (self.job.id.report_key(), Content::Draft(file));
        let put = || self.processor.objects.put(&key, "application/pdf", content);
        self.processor.closing.patience.insist(put).instrument(info_span!("store", %job_id)).await?;
        folder.give_back();
        Ok(report)
    }

    async fn typeset(&self, request: Request, data: Data) -> Result<Report, Trouble> {
        let start = Instant::now();
        let report = match data {
            Data::Whole { rows, warnings } => {
                let mut report = self.typeset_whole(&Request { rows, ..request }).await?;
                findings::merge(&mut report.warnings, warnings);
                report
            }
            Data::Rows(rows, digest) => self.typeset_long(request, *rows, digest).await?,
        };
        metrics::typeset_time(start.elapsed());
        Ok(report)
    }

    async fn typeset_whole(&self, request: &Request) -> Result<Report, Trouble> {
        let time = self.typesetting_time();
        let report = match self.processor.press.typeset(&self.turn, request, time).await {
            // Waiting for a store ate the time; the next attempt has all of it.
            Err(PressError::TimeLimit(_)) if time + RECORDING_MARGIN < self.time => {
                return Err(Trouble::Transient(format!("only {} s were left for typesetting", time.as_secs())));
            }
            Err(error) => {
                let rows = request.rows.as_ref().map(|rows| rows.field.clone());
                return Err(self.ended_by(error, &request.output, rows).await);
            }
            Ok(report) => report,
        };
        Ok(report)
    }

    /// What an error of the press means for this job, whose files are in `folder` and whose rows are in the property `rows`.
    async fn ended_by(&self, error: PressError, folder: &Path, rows: Option<String>) -> Trouble {
        match error {
            PressError::Typesetter(Error::InvalidData { violations }) => {
                let located = self.located(violations, folder, rows).await;
                located.map_or_else(|trouble| trouble, |violations| Origin::of(&self.message).refused(violations))
            }
            error => error.into(),
        }
    }

    /// These violations with their lines, if the data was uploaded. The upload is fetched once more, since its file made room
    /// for the rows, unless it is larger than data may be that is typeset whole.
    async fn located(
        &self,
        violations: Vec<Violation>,
        folder: &Path,
        rows: Option<String>,
    ) -> Result<Vec<Violation>, Trouble> {
        let Some(upload) = self.message.input else { return Ok(violations) };
        let (key, file) = (upload.key(), folder.join("upload"));
        let size = self.processor.closing.patience.insist(|| self.processor.objects.size(&key)).await?;
        if size.is_none_or(|size| size > self.processor.press.limits().data_bytes)
            || !self.processor.closing.patience.insist(|| self.processor.objects.fetch(&key, &file)).await?
        {
            return Ok(violations);
        }
        with_lines(violations, format_of(upload.format(), upload.dialect()), file, rows).await
    }

    async fn typeset_long(&self, mut request: Request, rows: Rows, digest: Digest32) -> Result<Report, Trouble> {
        let (folder, field) = (request.output.clone(), rows.field().map(ToOwned::to_owned));
        let output = folder.join("report.pdf");
        request.options.tagged = false;
        let checkpoints = Checkpoints::of(self, &request, digest).await?;
        let long = LongReport {
            press: &self.processor.press,
            turn: &self.turn,
            request,
            rows: Arc::new(rows),
            section_rows: self.processor.section_rows,
            // A section that takes longer may never fit into what is left of a run.
            time: self.processor.press.limits().time.min(self.time / 2),
        };
        match long.make(&checkpoints, &output).await {
            Err(LongError::Press(error)) => Err(self.ended_by(error, &folder, field).await),
            report => Ok(report?),
        }
    }

    fn request(&self, folder: &Path) -> Result<Request, Trouble> {
        let refused = |error: UnknownName| Trouble::Permanent(failure("options-refused", format!("{error}.")));
        let (asked, limits) = (&self.message.options, self.processor.press.limits());
        let mut options = Options::new(self.message.enqueued_at, self.message.id.to_string());
        options.pdf_standard = asked.pdf_standard.as_deref().map(str::parse).transpose().map_err(refused)?;
        options.tagged = asked.tagged.unwrap_or(true);
        let on_missing_glyph = asked.on_missing_glyph.as_deref().map(str::parse).transpose().map_err(refused)?;
        options.on_missing_glyph = on_missing_glyph.unwrap_or_default();
        Ok(Request {
            template: self.processor.templates.join(&self.message.template),
            kit: self.processor.templates.join("kit"),
            data: data_file(folder),
            output: folder.to_owned(),
            options,
            limits: OutputLimits { max_output_bytes: limits.output_bytes, max_pages: limits.pages },
            section: None,
            rows: None,
        })
    }

    /// Fetches the job's data, and checks what the listener could not.
    async fn data(&self, request: &Request) -> Result<Data, Trouble> {
        let source = match self.message.input {
            Some(upload) => self.fetch(upload, &request.output).await?,
            None => {
                let text = self.load().await?;
                if !tokio::fs::try_exists(request.template.join("template.json")).await? {
                    let exact = input::exact(&text).map_err(|faults| Origin::Request.invalid(faults))?;
                    write_data(&request.data, exact.unwrap_or(text)).await?;
                    return Ok(Data::Whole { rows: None, warnings: Vec::new() });
                }
                write_data(&request.data, text).await?;
                Source { format: Format::Json, file: request.data.clone(), head: None, origin: Origin::Request }
            }
        };
        let spool = request.output.join("rows.ndjson");
        unpack(&self.turn, source, request.template.clone(), spool, request.data.clone(), self.cutting()).await
    }

    fn cutting(&self) -> Cutting {
        let asked = &self.message.options;
        let standard = asked.pdf_standard.as_deref().and_then(|name| name.parse().ok());
        Cutting {
            section_rows: self.processor.section_rows,
            whole: asked.tagged == Some(true) || standard.is_some_and(PdfStandard::is_for_whole_documents),
            most_bytes: self.processor.press.limits().data_bytes,
        }
    }

    /// Gets an upload, to a file in `folder`.
    async fn fetch(&self, id: UploadId, folder: &Path) -> Result<Source, Trouble> {
        let head = match (&self.message.data, id.format()) {
            (Some(head), _) => Some(read_json(head.get().as_bytes())?),
            (None, UploadFormat::Json) => None,
            (None, UploadFormat::Ndjson | UploadFormat::Csv) => Some(read_json(&self.parked().await?)?),
        };
        let (key, file) = (id.key(), folder.join("upload"));
        if !self.processor.closing.patience.insist(|| self.processor.objects.fetch(&key, &file)).await? {
            return Err(missing(&key));
        }
        Ok(Source { format: format_of(id.format(), id.dialect()), file, head, origin: Origin::Upload })
    }

    /// The text of the job's data.
    async fn load(&self) -> Result<Vec<u8>, Trouble> {
        let bytes = match &self.message.data {
            Some(data) => data.get().as_bytes().to_vec(),
            None => self.parked().await?,
        };
        let limit = self.processor.press.limits().data_bytes;
        if bytes.len() as u64 > limit {
            let detail = format!(
                "The data has {} bytes and may have {limit}. Send less of it, or raise the data limit.",
                bytes.len()
            );
            return Err(Trouble::Permanent(failure("data-limit-exceeded", detail)));
        }
        Ok(bytes)
    }

    async fn parked(&self) -> Result<Vec<u8>, Trouble> {
        let key = self.job.id.input_key();
        let found = self.processor.closing.patience.insist(|| self.processor.objects.get(&key)).await?;
        found.ok_or_else(|| missing(&key))
    }

    /// Removes the sections of a job that has ended; what remains in spite of this ends with the job's record.
    pub(crate) async fn clear(&self) {
        if !self.may_have_sections.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.processor.objects.remove_under(&self.job.id.sections_prefix()).await {
            tracing::warn!(%error, "the sections of the report were left");
        }
    }
}

fn missing(key: &str) -> Trouble {
    let detail = format!("There is no {key} in the object store. Queue the job again with its data.");
    Trouble::Permanent(failure("input-missing", detail))
}
