use std::io::Read as _;

use anyhow::{Context as _, Result};
use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::ColumnDescriptor;
use serde_json::{Value, json};

use crate::Aws;
use crate::aws::call::items;
use crate::aws::lake_contents::list;

/// Number of objects that are read: the newest, as the table should have their columns.
const SAMPLED_OBJECTS: usize = 5;
/// Number of rows of a text object whose values decide a column's type.
const SAMPLED_ROWS: usize = 100;

/// The table that a Glue crawler infers from the objects below an S3 target.
pub(crate) struct CrawledTable {
    name: String,
    location: String,
    classification: &'static str,
    columns: Vec<(String, String)>,
    partition_keys: Vec<String>,
    delimiter: Option<char>,
}

impl CrawledTable {
    /// Reads the objects below `prefix`, which names the table. Returns `None` if there
    /// are none yet.
    pub(crate) async fn infer(
        s3: &aws_sdk_s3::Client,
        bucket: &str,
        prefix: &str,
    ) -> Result<Option<Self>> {
        let name = prefix
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or(prefix)
            .to_owned();
        let keys: Vec<String> = list(s3, bucket, prefix)
            .await?
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| !key.ends_with('/'))
            .collect();
        let Some(newest) = keys.last() else {
            return Ok(None);
        };
        let folders = newest[prefix.len()..]
            .split('/')
            .filter_map(|folder| folder.split_once('='));
        let partition_keys = folders.map(|(key, _)| key.to_owned()).collect();
        let location = format!("s3://{bucket}/{prefix}");
        let mut table = Self {
            name,
            location,
            classification: "",
            columns: Vec::new(),
            partition_keys,
            delimiter: None,
        };
        for key in keys.iter().rev().take(SAMPLED_OBJECTS) {
            let object = s3
                .get_object()
                .bucket(bucket)
                .key(key)
                .send()
                .await
                .with_context(|| format!("GET s3://{bucket}/{key}"))?;
            let bytes = object
                .body
                .collect()
                .await
                .with_context(|| format!("GET s3://{bucket}/{key}"))?
                .into_bytes();
            table
                .look_into(bytes)
                .with_context(|| format!("cannot classify s3://{bucket}/{key}"))?;
        }
        Ok(Some(table))
    }

    fn look_into(&mut self, bytes: bytes::Bytes) -> Result<()> {
        if bytes.starts_with(b"PAR1") {
            self.classification = "parquet";
            let reader = SerializedFileReader::new(bytes)?;
            for column in reader.metadata().file_metadata().schema_descr().columns() {
                self.merge(column.name(), parquet_type(column));
            }
            return Ok(());
        }
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(bytes.as_ref()).read_to_string(&mut text)?;
        if text.starts_with('{') {
            self.classification = "json";
            for line in text.lines().take(SAMPLED_ROWS) {
                let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
                row.iter()
                    .for_each(|(name, value)| self.merge(name, json_type(value)));
            }
            return Ok(());
        }
        self.classification = "csv";
        let mut lines = text.lines();
        let header = lines.next().context("an empty object")?;
        // The delimiters of Glue's CSV classifier.
        let delimiter = [',', '|', '\t', ';', '\u{1}']
            .into_iter()
            .max_by_key(|delimiter| header.matches(*delimiter).count())
            .unwrap_or(',');
        self.delimiter = Some(delimiter);
        for line in lines.take(SAMPLED_ROWS) {
            header
                .split(delimiter)
                .zip(line.split(delimiter))
                .for_each(|(name, value)| self.merge(name, text_type(value)));
        }
        Ok(())
    }

    /// Adds a column or widens an existing one. An empty type means only that the column
    /// exists.
    fn merge(&mut self, name: &str, kind: &str) {
        match self.columns.iter_mut().find(|(known, _)| known == name) {
            None => self.columns.push((name.to_owned(), kind.to_owned())),
            Some((_, known)) if known == kind || kind.is_empty() => {}
            Some((_, known)) => match (known.as_str(), kind) {
                ("", _) => *known = kind.to_owned(),
                ("bigint", "double") | ("double", "bigint") => *known = "double".to_owned(),
                _ => *known = "string".to_owned(),
            },
        }
    }

    /// Creates the table, or adds the columns that it has not (`MergeNewColumns`);
    /// returns the contents of the catalog then.
    pub(crate) async fn save(self, aws: &Aws, database: &str) -> Result<Value> {
        let table = json!({"DatabaseName": database, "Name": self.name});
        let (operation, input) = match aws.call("glue", "get_table", &table).await {
            Ok(answer) => {
                let known = &answer["Table"]["StorageDescriptor"]["Columns"];
                if self.columns.iter().all(|(name, _)| has(known, name)) {
                    return Ok(answer["Table"].clone());
                }
                ("update_table", self.input(known))
            }
            Err(error) if error.code == "EntityNotFoundException" => {
                ("create_table", self.input(&Value::Null))
            }
            Err(error) => return Err(error.into()),
        };
        let saved = json!({"DatabaseName": database, "TableInput": input});
        aws.call("glue", operation, &saved).await?;
        let mut answer = aws.call("glue", "get_table", &table).await?;
        Ok(answer["Table"].take())
    }

    /// Returns the table as Glue takes it, with the columns that it has there and those
    /// that it lacks.
    fn input(&self, known: &Value) -> Value {
        let mut columns: Vec<Value> = items(known).cloned().collect();
        for (name, kind) in self.columns.iter().filter(|(name, _)| !has(known, name)) {
            let kind = if kind.is_empty() { "string" } else { kind };
            columns.push(json!({"Name": name, "Type": kind}));
        }
        let (library, input, output) = match self.classification {
            "parquet" => (
                "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            ),
            "json" => (
                "org.openx.data.jsonserde.JsonSerDe",
                TEXT_INPUT,
                TEXT_OUTPUT,
            ),
            _ => (
                "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                TEXT_INPUT,
                TEXT_OUTPUT,
            ),
        };
        let mut serde = json!({"SerializationLibrary": library});
        if let Some(delimiter) = self.delimiter {
            serde["Parameters"] = json!({"field.delim": delimiter});
        }
        let mut parameters = json!({"classification": self.classification});
        if self.classification == "csv" {
            parameters["skip.header.line.count"] = "1".into();
        }
        let keys = self.partition_keys.iter();
        let keys: Vec<Value> = keys
            .map(|key| json!({"Name": key, "Type": "string"}))
            .collect();
        json!({
            "Name": self.name,
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": keys,
            "Parameters": parameters,
            "StorageDescriptor": {
                "Location": self.location,
                "InputFormat": input,
                "OutputFormat": output,
                "Columns": columns,
                "SerdeInfo": serde,
            },
        })
    }
}

/// Returns whether columns of a table in the catalog have a name.
fn has(columns: &Value, name: &str) -> bool {
    items(columns).any(|column| column["Name"] == name)
}

const TEXT_INPUT: &str = "org.apache.hadoop.mapred.TextInputFormat";
const TEXT_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat";

fn parquet_type(column: &ColumnDescriptor) -> &'static str {
    let is_text = column.converted_type() == ConvertedType::UTF8;
    match (column.physical_type(), column.logical_type_ref()) {
        (_, Some(LogicalType::Timestamp { .. })) | (Physical::INT96, _) => "timestamp",
        (Physical::BOOLEAN, _) => "boolean",
        (Physical::INT32, _) => "int",
        (Physical::INT64, _) => "bigint",
        (Physical::FLOAT, _) => "float",
        (Physical::DOUBLE, _) => "double",
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => {
            if is_text {
                "string"
            } else {
                "binary"
            }
        }
    }
}

fn json_type(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(number) if number.is_f64() => "double",
        serde_json::Value::Number(_) => "bigint",
        _ => "string",
    }
}

fn text_type(value: &str) -> &'static str {
    match value {
        "" => "",
        value if value.parse::<i64>().is_ok() => "bigint",
        value if value.parse::<f64>().is_ok() => "double",
        _ => "string",
    }
}
