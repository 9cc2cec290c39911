//! Qdrant as an engine that the processes of one catalog share: a collection per generation, and an alias for the one in use.

use std::sync::Arc;

use async_trait::async_trait;
use qdrant_client::qdrant::{
    CreateAliasBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType,
    HnswConfigDiffBuilder, IntegerIndexParamsBuilder, KeywordIndexParamsBuilder, OptimizersConfigDiffBuilder,
    QuantizationType, ScalarQuantizationBuilder, VectorParamsBuilder, VectorsConfigBuilder,
};

use super::QdrantIndex;
use super::client::{Client, failed};
use crate::document::CollectionKey;
use crate::error::Result;
use crate::scope::CollectionScope;
use crate::vector::VectorIndex;
use crate::vector::choice::QdrantConfig;
use crate::vector::remote::RemoteEngine;

/// Neighbours per node of the graph, and candidates considered while a node is linked.
const GRAPH: (u64, u64) = (16, 128);

/// See the module.
pub struct QdrantEngine {
    client: Arc<Client>,
    exact_among: u64,
    /// Begins the name of every collection of this catalog.
    prefix: String,
}

impl std::fmt::Debug for QdrantEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QdrantEngine").field("client", &self.client).finish_non_exhaustive()
    }
}

impl QdrantEngine {
    /// The configured server, for the catalog of this name that no other one has. Nothing is sent. `Invalid` for an
    /// address that is none.
    pub fn new(config: &QdrantConfig, catalog: &str) -> Result<Self> {
        Ok(Self {
            client: Arc::new(Client::new(config)?),
            exact_among: config.exact_among,
            prefix: format!("{}-{catalog}-c", config.prefix),
        })
    }

    /// What the server is and where, in words, if it will do.
    pub async fn probe(&self) -> Result<String> {
        self.client.version().await?;
        Ok(self.client.place())
    }

    /// An empty index, for what lives outside `sync`: tests and measurements.
    pub async fn index(
        &self,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
    ) -> Result<QdrantIndex> {
        let name = self.name(scope.key(), generation);
        self.client.version().await?;
        self.delete(&name).await?;
        self.make(&name, dimension).await?;
        Ok(self.opened(scope, generation, dimension))
    }

    /// Removes every generation of a collection.
    pub async fn remove_all(&self, collection: CollectionKey) -> Result<()> {
        for (of, generation) in self.generations().await? {
            if of == collection {
                self.remove(of, generation).await?;
            }
        }
        Ok(())
    }

    fn opened(&self, scope: &CollectionScope, generation: u32, dimension: usize) -> QdrantIndex {
        QdrantIndex {
            client: Arc::clone(&self.client),
            exact_among: self.exact_among,
            name: self.name(scope.key(), generation).into(),
            alias: self.alias(scope.key()).into(),
            tenant: scope.tenant().clone(),
            dimension,
        }
    }

    fn alias(&self, collection: CollectionKey) -> String {
        format!("{}{}", self.prefix, collection.0)
    }

    fn name(&self, collection: CollectionKey, generation: u32) -> String {
        format!("{}{}-g{generation}", self.prefix, collection.0)
    }

    /// Collection and generation of a name, if it is one of ours.
    fn generation_of(&self, name: &str) -> Option<(CollectionKey, u32)> {
        let (collection, generation) = name.strip_prefix(&self.prefix)?.split_once("-g")?;
        Some((CollectionKey(collection.parse().ok()?), generation.parse().ok()?))
    }

    async fn delete(&self, name: &str) -> Result<()> {
        match self.client.api.delete_collection(name).await {
            Ok(_) => Ok(()),
            Err(e) => match failed("remove an index", e) {
                gone if gone.kind() == crate::error::ErrorKind::NotFound => Ok(()),
                error => Err(error),
            },
        }
    }

    async fn make(&self, name: &str, dimension: usize) -> Result<()> {
        let api = &self.client.api;
        let mut vectors = VectorsConfigBuilder::default();
        // Vectors are of norm 1, so the dot product is the cosine, and they are kept as they are given.
        vectors.add_named_vector_params(
            super::VECTOR,
            VectorParamsBuilder::new(dimension as u64, Distance::Dot).on_disk(true),
        );
        let quantization = ScalarQuantizationBuilder::default()
            .r#type(QuantizationType::Int8.into())
            .quantile(0.99)
            .always_ram(true);
        let collection = CreateCollectionBuilder::new(name)
            .vectors_config(vectors)
            .hnsw_config(HnswConfigDiffBuilder::default().m(GRAPH.0).ef_construct(GRAPH.1))
            .optimizers_config(OptimizersConfigDiffBuilder::default())
            .quantization_config(quantization)
            .on_disk_payload(true);
        api.create_collection(collection).await.map_err(|e| failed("make an index", e))?;
        // Every point of an index has the same tenant: links of the graph for its sake would be made twice.
        let tenant = KeywordIndexParamsBuilder::default().is_tenant(true).on_disk(true).enable_hnsw(false);
        let tenant = CreateFieldIndexCollectionBuilder::new(name, super::TENANT, FieldType::Keyword)
            .field_index_params(tenant)
            .wait(true);
        let document = IntegerIndexParamsBuilder::new(true, false).on_disk(true).enable_hnsw(false);
        let document = CreateFieldIndexCollectionBuilder::new(name, super::DOCUMENT, FieldType::Integer)
            .field_index_params(document)
            .wait(true);
        for field in [tenant, document] {
            api.create_field_index(field).await.map_err(|e| failed("make an index", e))?;
        }
        Ok(())
    }
}

#[async_trait]
impl RemoteEngine for QdrantEngine {
    async fn check(&self) -> Result<()> {
        self.client.version().await.map(|_| ())
    }

    async fn find(
        &self,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
    ) -> Result<Option<Arc<dyn VectorIndex>>> {
        self.client.version().await?;
        let name = self.name(scope.key(), generation);
        let there =
            self.client.api.collection_exists(name).await.map_err(|e| failed("look for an index", e))?;
        Ok(there.then(|| Arc::new(self.opened(scope, generation, dimension)) as Arc<dyn VectorIndex>))
    }

    async fn create(
        &self,
        scope: &CollectionScope,
        generation: u32,
        dimension: usize,
    ) -> Result<Arc<dyn VectorIndex>> {
        Ok(Arc::new(self.index(scope, generation, dimension).await?))
    }

    async fn put_in_use(&self, collection: CollectionKey, generation: u32) -> Result<()> {
        // An alias that points elsewhere is moved by the same operation, at once for everybody.
        let alias = CreateAliasBuilder::new(self.name(collection, generation), self.alias(collection));
        self.client.api.create_alias(alias).await.map_err(|e| failed("name an index", e)).map(|_| ())
    }

    async fn remove(&self, collection: CollectionKey, generation: u32) -> Result<()> {
        self.delete(&self.name(collection, generation)).await
    }

    async fn generations(&self) -> Result<Vec<(CollectionKey, u32)>> {
        let listed = self.client.api.list_collections().await.map_err(|e| failed("list the indexes", e))?;
        Ok(listed.collections.iter().filter_map(|found| self.generation_of(&found.name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_are_told_by_their_names() {
        let engine = QdrantEngine::new(&QdrantConfig::new("http://127.0.0.1:1"), "ab-12").unwrap();
        let key = CollectionKey(7);
        assert_eq!(engine.name(key, 3), "wellspring-ab-12-c7-g3");
        assert_eq!(engine.generation_of(&engine.name(key, 3)), Some((key, 3)));
        for name in ["wellspring-ab-12-c7", "wellspring-other-c7-g3", "docs", "wellspring-ab-12-cx-g3"] {
            assert_eq!(engine.generation_of(name), None, "{name}");
        }
    }
}
