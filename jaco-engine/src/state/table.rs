//! A persistent ordered map of shared rows.

use std::{fmt, ops::RangeBounds, sync::Arc};

use imbl::OrdMap;

/// Rows by key. Cloning is O(1); a change copies O(log n) nodes and shares the rest.
#[derive(Clone)]
pub struct Table<K, V> {
    rows: OrdMap<K, Arc<V>>,
}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.rows.iter()).finish()
    }
}

impl<K: Ord + Clone, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: OrdMap::new() }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// The row of this key.
    pub fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&Arc<V>>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.rows.get(key)
    }
    /// Whether there is a row of this key.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.rows.contains_key(key)
    }
    /// Rows in key order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &Arc<V>)> {
        self.rows.iter()
    }
    /// Rows whose keys lie in a range, in key order.
    pub fn range(
        &self,
        range: impl RangeBounds<K>,
    ) -> impl DoubleEndedIterator<Item = (&K, &Arc<V>)> {
        self.rows.range(range)
    }
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Adds or replaces a row; the former one is returned.
    pub(crate) fn put(&mut self, key: K, row: Arc<V>) -> Option<Arc<V>> {
        self.rows.insert(key, row)
    }
    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        self.rows.remove(key)
    }
    /// Whether both share all their rows, without looking at them.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.rows.ptr_eq(&other.rows)
    }
    /// The differences from `self` to `newer`, in O(changes).
    pub fn diff<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = RowChange<'a, K, V>>
    where
        V: PartialEq,
    {
        use imbl::ordmap::DiffItem;
        self.rows.diff(&newer.rows).map(|item| match item {
            DiffItem::Add(key, row) => RowChange { key, old: None, new: Some(row) },
            DiffItem::Remove(key, row) => RowChange { key, old: Some(row), new: None },
            DiffItem::Update { old, new } => {
                RowChange { key: new.0, old: Some(old.1), new: Some(new.1) }
            }
        })
    }
}

/// One row that differs between two tables.
#[derive(Debug)]
pub struct RowChange<'a, K, V> {
    /// Its key.
    pub key: &'a K,
    /// The former row, if there was one.
    pub old: Option<&'a Arc<V>>,
    /// The newer row, if there is one.
    pub new: Option<&'a Arc<V>>,
}
