use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use aws_connect::SdkConfig;
use aws_sdk_glue::Client;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_glue::types::{
    BatchUpdatePartitionRequestEntry, ErrorDetail, Partition, PartitionInput, PartitionValueList,
    StorageDescriptor,
};
use curation::{Move, Pointer, Pointers, Table};
use lake_layout::LakePartition;

/// Glue's limit of partitions in one BatchGetPartition.
const MAX_PARTITIONS_PER_CALL: usize = 1000;

/// Glue's answer if there is no such table, or no such partition.
const NOT_FOUND: &str = "EntityNotFoundException";

/// The curated tables in the Glue catalog. A partition's location is the pointer to the
/// version of its hour that readers see.
#[derive(Debug)]
pub struct Catalog {
    glue: Client,
    database: String,
    bucket: String,
}

impl Catalog {
    /// Returns the curated tables of a database, for the lake in this bucket.
    pub fn new(config: &SdkConfig, database: String, bucket: String) -> Self {
        Self {
            glue: Client::new(config),
            database,
            bucket,
        }
    }

    /// Returns the pointers of these hours.
    ///
    /// # Errors
    /// Glue does not answer, or a table does not exist.
    pub async fn pointers(
        &self,
        hours: &[LakePartition],
    ) -> Result<BTreeMap<LakePartition, Pointers>> {
        let ticks = self.pointers_of(Table::Ticks, hours).await?;
        let bars = self.pointers_of(Table::Bars, hours).await?;
        let absent = hours.iter().map(|hour| (*hour, Pointers::ABSENT));
        Ok(both(absent.collect(), ticks, bars))
    }

    /// Returns the pointers of one hour.
    ///
    /// # Errors
    /// Glue does not answer, or a table does not exist.
    pub async fn pointers_of_hour(&self, hour: LakePartition) -> Result<Pointers> {
        let mut pointers = self.pointers(&[hour]).await?;
        pointers.remove(&hour).context("no pointers")
    }

    /// Returns the pointers of every hour that a table has.
    ///
    /// # Errors
    /// Glue does not answer, or a table does not exist.
    pub async fn all_pointers(&self) -> Result<BTreeMap<LakePartition, Pointers>> {
        let ticks = self.all_pointers_of(Table::Ticks).await?;
        let bars = self.all_pointers_of(Table::Bars).await?;
        Ok(both(BTreeMap::new(), ticks, bars))
    }

    async fn all_pointers_of(&self, table: Table) -> Result<Vec<(LakePartition, Pointer)>> {
        let get = self.glue.get_partitions().database_name(&self.database);
        let get = get.table_name(table.name()).exclude_column_schema(true);
        let mut pages = get.into_paginator().send();
        let mut pointers = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("GetPartitions", table, &error))?;
            let partitions = page.partitions().iter();
            pointers.extend(partitions.filter_map(|partition| self.pointer(table, partition)));
        }
        Ok(pointers)
    }

    async fn pointers_of(
        &self,
        table: Table,
        hours: &[LakePartition],
    ) -> Result<Vec<(LakePartition, Pointer)>> {
        let keys = hours.iter().map(|hour| {
            let list = PartitionValueList::builder().values(hour.dt());
            list.values(hour.hr()).build()
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let mut pointers = Vec::new();
        for chunk in keys.chunks(MAX_PARTITIONS_PER_CALL) {
            let mut remaining = chunk.to_vec();
            // Ask for the unprocessed keys again, as long as Glue finds any.
            while !remaining.is_empty() {
                let get = self.glue.batch_get_partition();
                let get = get.database_name(&self.database).table_name(table.name());
                let answer = get.set_partitions_to_get(Some(remaining)).send().await;
                let answer =
                    answer.map_err(|error| self.failed("BatchGetPartition", table, &error))?;
                remaining = match answer.partitions() {
                    [] => Vec::new(),
                    _ => answer.unprocessed_keys().to_vec(),
                };
                let found = answer.partitions().iter();
                pointers.extend(found.filter_map(|partition| self.pointer(table, partition)));
            }
        }
        Ok(pointers)
    }

    fn pointer(&self, table: Table, partition: &Partition) -> Option<(LakePartition, Pointer)> {
        let [dt, hr] = partition.values() else {
            return None;
        };
        let hour = LakePartition::parse(dt, hr)?;
        let location = partition
            .storage_descriptor()
            .and_then(StorageDescriptor::location)
            .unwrap_or_default();
        let pointer = Pointer::of_location(table, &self.bucket, hour, location);
        Some((hour, pointer))
    }

    /// Makes changes of an hour's partitions. If somebody else was faster, another look
    /// shows it.
    pub(crate) async fn point(&self, hour: LakePartition, moves: &[Move]) -> Result<()> {
        for change in moves {
            let input = self.partition(hour, change).await?;
            if change.exists {
                self.update(change.table, hour, input).await?;
            } else {
                self.create(change.table, input).await?;
            }
        }
        Ok(())
    }

    async fn create(&self, table: Table, input: PartitionInput) -> Result<()> {
        let create = self.glue.batch_create_partition();
        let create = create
            .database_name(&self.database)
            .table_name(table.name());
        let answer = create.partition_input_list(input).send().await;
        let answer = answer.map_err(|error| self.failed("BatchCreatePartition", table, &error))?;
        let errors = answer.errors().iter();
        let refusals = errors.filter_map(|error| error.error_detail());
        self.refused(
            "BatchCreatePartition",
            table,
            refusals,
            "AlreadyExistsException",
        )
    }

    async fn update(&self, table: Table, hour: LakePartition, input: PartitionInput) -> Result<()> {
        let entry = BatchUpdatePartitionRequestEntry::builder()
            .partition_value_list(hour.dt())
            .partition_value_list(hour.hr())
            .partition_input(input);
        let update = self.glue.batch_update_partition();
        let update = update
            .database_name(&self.database)
            .table_name(table.name());
        let answer = update.entries(entry.build()?).send().await;
        let answer = answer.map_err(|error| self.failed("BatchUpdatePartition", table, &error))?;
        let errors = answer.errors().iter();
        let refusals = errors.filter_map(|error| error.error_detail());
        self.refused("BatchUpdatePartition", table, refusals, NOT_FOUND)
    }

    /// Returns a partition that has the table's columns and format, and a version's
    /// location.
    async fn partition(&self, hour: LakePartition, change: &Move) -> Result<PartitionInput> {
        let table = change.table;
        let get = self.glue.get_table().database_name(&self.database);
        let answer = get
            .name(table.name())
            .send()
            .await
            .map_err(|error| self.failed("GetTable", table, &error))?;
        let storage = answer.table().and_then(|table| table.storage_descriptor());
        let mut storage = storage
            .with_context(|| format!("GetTable {}: no storage descriptor", self.place(table)))?
            .clone();
        storage.location = Some(table.location(&self.bucket, hour, change.version));
        let input = PartitionInput::builder()
            .values(hour.dt())
            .values(hour.hr());
        Ok(input.storage_descriptor(storage).build())
    }

    /// Returns the error of a batch that Glue refused in part, unless the reason is that
    /// somebody else was faster.
    fn refused<'a>(
        &self,
        call: &str,
        table: Table,
        refusals: impl Iterator<Item = &'a ErrorDetail>,
        faster: &str,
    ) -> Result<()> {
        for refusal in refusals {
            let code = refusal.error_code().unwrap_or_default();
            if code != faster {
                let message = refusal.error_message().unwrap_or_default();
                bail!("{call} {}: {code}: {message}", self.place(table));
            }
        }
        Ok(())
    }

    fn failed<E, R>(&self, call: &str, table: Table, error: &SdkError<E, R>) -> anyhow::Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        let place = self.place(table);
        match error
            .as_service_error()
            .and_then(ProvideErrorMetadata::code)
        {
            Some(NOT_FOUND) => anyhow!(
                "table {place} does not exist; create it with the columns that template.yaml \
                 gives it, the next look adds its partitions"
            ),
            _ => anyhow!("{call} {place}: {}", aws_connect::brief(error)),
        }
    }

    fn place(&self, table: Table) -> String {
        format!("{}.{}", self.database, table.name())
    }
}

/// Puts the pointers of both tables together.
fn both(
    mut hours: BTreeMap<LakePartition, Pointers>,
    ticks: Vec<(LakePartition, Pointer)>,
    bars: Vec<(LakePartition, Pointer)>,
) -> BTreeMap<LakePartition, Pointers> {
    for (hour, pointer) in ticks {
        hours.entry(hour).or_insert(Pointers::ABSENT).ticks = pointer;
    }
    for (hour, pointer) in bars {
        hours.entry(hour).or_insert(Pointers::ABSENT).bars = pointer;
    }
    hours
}
