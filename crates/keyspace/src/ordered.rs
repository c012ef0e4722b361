//! An ordered map that is cloned in one step and changed along one path.
//!
//! ```text
//! root -> branch [ first key | count | Arc ][ ... ]  ->  ...  ->  leaf [ key | value ][ key | value ] ...
//! ```
//!
//! All leaves lie equally deep, no node is empty and none has more than [`NODE_MAX`] parts; that is all that is promised of the shape, which
//! shows nowhere. A clone shares the root, a change copies the nodes from there to its leaf. Counts in the branches find a rank, and with it
//! everything else, in O(log n).

use std::borrow::Borrow;
use std::ops::Range;
use std::slice;

use triomphe::Arc;

const NODE_MAX: usize = 64;
/// A node with fewer parts looks for a neighbour to merge with.
const NODE_MIN: usize = 16;
/// Merged nodes leave room, so that they are not halved at the next insertion.
const MERGED_MAX: usize = 48;

/// See the module.
#[derive(Clone)]
pub(crate) struct OrderedMap<K, V> {
    root: Option<Arc<Node<K, V>>>,
    count: usize,
}

#[derive(Clone)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    Branch(Vec<Child<K, V>>),
}

struct Child<K, V> {
    first: K,
    count: usize,
    node: Arc<Node<K, V>>,
}

impl<K: Clone, V> Clone for Child<K, V> {
    fn clone(&self) -> Self {
        Self { first: self.first.clone(), count: self.count, node: self.node.clone() }
    }
}

impl<K: Ord + Clone, V: Clone> Child<K, V> {
    fn of(node: Node<K, V>) -> Self {
        let (first, count) = match &node {
            Node::Leaf(pairs) => (pairs[0].0.clone(), pairs.len()),
            Node::Branch(children) => (children[0].first.clone(), children.iter().map(|child| child.count).sum()),
        };
        Self { first, count, node: Arc::new(node) }
    }
}

impl<K, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self { root: None, count: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> OrderedMap<K, V> {
    /// What a pair takes, on average, its nodes being four fifths full.
    pub(crate) const PAIR_BYTES: usize = size_of::<(K, V)>() * 5 / 4;
    /// What a map of few pairs takes besides: its root, with the count of sharers.
    pub(crate) const ROOT_BYTES: usize = size_of::<Node<K, V>>() + size_of::<usize>();

    /// The bytes of its root, if it has one.
    pub(crate) fn root_bytes(&self) -> usize {
        if self.count == 0 { 0 } else { Self::ROOT_BYTES }
    }

    /// The bytes of its nodes, about. Not of what keys and values refer to.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.root_bytes() + self.count * Self::PAIR_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// How many keys come before this one, and whether it is there.
    pub(crate) fn rank<Q: Ord + ?Sized>(&self, key: &Q) -> (usize, bool)
    where
        K: Borrow<Q>,
    {
        let Some(mut node) = self.root.as_deref() else { return (0, false) };
        let mut rank = 0;
        loop {
            match node {
                Node::Leaf(pairs) => {
                    return match pairs.binary_search_by(|pair| pair.0.borrow().cmp(key)) {
                        Ok(at) => (rank + at, true),
                        Err(at) => (rank + at, false),
                    };
                }
                Node::Branch(children) => {
                    let at = child_of(children, key);
                    rank += children[..at].iter().map(|child| child.count).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// The leaf with the pair of a rank below the count, and the place of the pair in it.
    fn locate(&self, mut rank: usize) -> (&[(K, V)], usize) {
        debug_assert!(rank < self.count, "a rank is below the count");
        let mut node = self.root.as_deref().expect("there is a pair");
        loop {
            match node {
                Node::Leaf(pairs) => return (pairs, rank),
                Node::Branch(children) => {
                    let mut at = 0;
                    while rank >= children[at].count {
                        rank -= children[at].count;
                        at += 1;
                    }
                    node = &children[at].node;
                }
            }
        }
    }

    /// The pair with a rank, if there is one.
    pub(crate) fn at(&self, rank: usize) -> Option<(&K, &V)> {
        if rank >= self.count {
            return None;
        }
        let (pairs, at) = self.locate(rank);
        Some((&pairs[at].0, &pairs[at].1))
    }

    /// The first pair.
    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.at(0)
    }

    /// The last pair.
    pub(crate) fn last(&self) -> Option<(&K, &V)> {
        self.at(self.count.checked_sub(1)?)
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (pairs, at) = self.leaf(key)?;
        Some(&pairs[at].1)
    }

    pub(crate) fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.leaf(key).is_some()
    }

    /// The leaf with a key, and the place of its pair in it.
    fn leaf<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&[(K, V)], usize)>
    where
        K: Borrow<Q>,
    {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(pairs) => {
                    let at = pairs.binary_search_by(|pair| pair.0.borrow().cmp(key)).ok()?;
                    return Some((pairs, at));
                }
                Node::Branch(children) => node = &children[child_of(children, key)].node,
            }
        }
    }

    /// The pairs with these ranks, which end at most at the count.
    pub(crate) fn range(&self, ranks: Range<usize>) -> Pairs<'_, K, V> {
        debug_assert!(ranks.end <= self.count);
        Pairs { map: self, ranks, front: [].iter(), back: [].iter() }
    }

    /// All pairs.
    pub(crate) fn iter(&self) -> Pairs<'_, K, V> {
        self.range(0..self.count)
    }

    /// The value of a key, to be changed. What is not there copies nothing.
    pub(crate) fn value_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if !self.contains(key) {
            return None;
        }
        let mut node = Arc::make_mut(self.root.as_mut()?);
        loop {
            match node {
                Node::Leaf(pairs) => {
                    let at = pairs.binary_search_by(|pair| pair.0.borrow().cmp(key)).ok()?;
                    return Some(&mut pairs[at].1);
                }
                Node::Branch(children) => {
                    let at = child_of(children, key);
                    node = Arc::make_mut(&mut children[at].node);
                }
            }
        }
    }

    /// Gives a key a value, and returns the one that it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(root) = &mut self.root else {
            (self.root, self.count) = (Some(Arc::new(Node::Leaf(vec![(key, value)]))), 1);
            return None;
        };
        let before = match insert(Arc::make_mut(root), key, value) {
            Inserted::Replaced(before) => return Some(before),
            Inserted::Added(None) => None,
            Inserted::Added(Some(right)) => {
                let left = Arc::unwrap_or_clone(self.root.take().expect("it was just changed"));
                self.root = Some(Arc::new(Node::Branch(vec![Child::of(left), right])));
                None
            }
        };
        self.count += 1;
        before
    }

    /// Removes a key and returns its value.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if !self.contains(key) {
            return None;
        }
        let value = remove(Arc::make_mut(self.root.as_mut()?), key);
        self.count -= 1;
        if self.count == 0 {
            self.root = None;
        }
        self.maybe_lower();
        Some(value)
    }

    /// Takes away the pairs with the lowest ranks, so many of them, as a map of their own. Touches one path.
    pub(crate) fn split_front(&mut self, count: usize) -> Self {
        debug_assert!(count <= self.count);
        if count == 0 {
            return Self::default();
        }
        if count == self.count {
            return std::mem::take(self);
        }
        let mut root = self.root.take().expect("there is a pair");
        let mut front = Self { root: Some(split_front(Arc::make_mut(&mut root), count)), count };
        (self.root, self.count) = (Some(root), self.count - count);
        self.maybe_lower();
        front.maybe_lower();
        front
    }

    /// A root with one child is none.
    fn maybe_lower(&mut self) {
        while let Some(Node::Branch(children)) = self.root.as_deref()
            && children.len() == 1
        {
            let child = children[0].node.clone();
            self.root = Some(child);
        }
    }
}

/// The child that has a key, or would have it.
fn child_of<K: Borrow<Q>, V, Q: Ord + ?Sized>(children: &[Child<K, V>], key: &Q) -> usize {
    children.partition_point(|child| child.first.borrow() <= key).saturating_sub(1)
}

enum Inserted<K, V> {
    Replaced(V),
    /// And what was split off on the right.
    Added(Option<Child<K, V>>),
}

fn insert<K: Ord + Clone, V: Clone>(node: &mut Node<K, V>, key: K, value: V) -> Inserted<K, V> {
    match node {
        Node::Leaf(pairs) => match pairs.binary_search_by(|pair| pair.0.cmp(&key)) {
            Ok(at) => Inserted::Replaced(std::mem::replace(&mut pairs[at].1, value)),
            Err(at) => {
                pairs.insert(at, (key, value));
                Inserted::Added(halve(pairs, at).map(|right| Child::of(Node::Leaf(right))))
            }
        },
        Node::Branch(children) => {
            let at = child_of(children, &key);
            let child = &mut children[at];
            if key < child.first {
                child.first = key.clone();
            }
            let right = match insert(Arc::make_mut(&mut child.node), key, value) {
                Inserted::Added(right) => right,
                replaced => return replaced,
            };
            child.count += 1;
            let Some(right) = right else { return Inserted::Added(None) };
            child.count -= right.count;
            children.insert(at + 1, right);
            Inserted::Added(halve(children, at + 1).map(|right| Child::of(Node::Branch(right))))
        }
    }
}

/// Splits an overfull node. What was put at its end begins a node of its own, so that keys that come in order leave full nodes.
fn halve<T>(parts: &mut Vec<T>, put_at: usize) -> Option<Vec<T>> {
    if parts.len() <= NODE_MAX {
        return None;
    }
    let kept = if put_at + 1 == parts.len() { put_at } else { parts.len() / 2 };
    let right = parts.split_off(kept);
    // It grew, by as much again, for the one that was too many.
    parts.shrink_to(NODE_MAX);
    Some(right)
}

/// Removes a key that is there. The node may be empty then.
fn remove<K: Ord + Clone + Borrow<Q>, V: Clone, Q: Ord + ?Sized>(node: &mut Node<K, V>, key: &Q) -> V {
    match node {
        Node::Leaf(pairs) => {
            let at = pairs.binary_search_by(|pair| pair.0.borrow().cmp(key)).expect("the key is there");
            pairs.remove(at).1
        }
        Node::Branch(children) => {
            let at = child_of(children, key);
            let child = &mut children[at];
            let value = remove(Arc::make_mut(&mut child.node), key);
            child.count -= 1;
            if child.count == 0 {
                children.remove(at);
            } else {
                refresh(child);
                maybe_merge(children, at);
            }
            value
        }
    }
}

/// Reads anew what a branch says of a child.
fn refresh<K: Ord + Clone, V: Clone>(child: &mut Child<K, V>) {
    let first = match &*child.node {
        Node::Leaf(pairs) => &pairs[0].0,
        Node::Branch(children) => &children[0].first,
    };
    if *first != child.first {
        child.first = first.clone();
    }
}

fn part_count<K, V>(node: &Node<K, V>) -> usize {
    match node {
        Node::Leaf(pairs) => pairs.len(),
        Node::Branch(children) => children.len(),
    }
}

fn maybe_merge<K: Ord + Clone, V: Clone>(children: &mut Vec<Child<K, V>>, at: usize) {
    if part_count(&children[at].node) >= NODE_MIN {
        return;
    }
    let left = if at + 1 < children.len() { at } else { at.saturating_sub(1) };
    let Some([low, high]) = children.get(left..left + 2) else { return };
    if part_count(&low.node) + part_count(&high.node) > MERGED_MAX {
        return;
    }
    let high = children.remove(left + 1);
    let low = &mut children[left];
    low.count += high.count;
    match (Arc::make_mut(&mut low.node), Arc::unwrap_or_clone(high.node)) {
        (Node::Leaf(low), Node::Leaf(high)) => low.extend(high),
        (Node::Branch(low), Node::Branch(high)) => low.extend(high),
        _ => unreachable!("leaves lie equally deep"),
    }
}

/// Takes so many pairs from the front of a node, some but not all, as a node of the same height.
fn split_front<K: Ord + Clone, V: Clone>(node: &mut Node<K, V>, mut count: usize) -> Arc<Node<K, V>> {
    Arc::new(match node {
        Node::Leaf(pairs) => {
            let back = pairs.split_off(count);
            Node::Leaf(std::mem::replace(pairs, back))
        }
        Node::Branch(children) => {
            let mut at = 0;
            while count >= children[at].count {
                count -= children[at].count;
                at += 1;
            }
            let back = children.split_off(at);
            let mut front = std::mem::replace(children, back);
            if count > 0 {
                let child = &mut children[0];
                let node = split_front(Arc::make_mut(&mut child.node), count);
                let first = std::mem::replace(&mut child.first, child_first(&child.node));
                child.count -= count;
                front.push(Child { first, count, node });
            }
            Node::Branch(front)
        }
    })
}

fn child_first<K: Clone, V>(node: &Node<K, V>) -> K {
    match node {
        Node::Leaf(pairs) => pairs[0].0.clone(),
        Node::Branch(children) => children[0].first.clone(),
    }
}

/// Pairs in order, from both ends.
pub(crate) struct Pairs<'a, K, V> {
    map: &'a OrderedMap<K, V>,
    ranks: Range<usize>,
    /// The rest of the leaf at each end; they may overlap, the ranks say where it ends.
    front: slice::Iter<'a, (K, V)>,
    back: slice::Iter<'a, (K, V)>,
}

impl<K, V> Clone for Pairs<'_, K, V> {
    fn clone(&self) -> Self {
        Self { map: self.map, ranks: self.ranks.clone(), front: self.front.clone(), back: self.back.clone() }
    }
}

impl<'a, K: Ord + Clone, V: Clone> Iterator for Pairs<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.front.as_slice().is_empty() {
            let (leaf, at) = self.map.locate(self.ranks.start);
            self.front = leaf[at..].iter();
        }
        self.ranks.start += 1;
        self.front.next().map(|(key, value)| (key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ranks.len(), Some(self.ranks.len()))
    }
}

impl<K: Ord + Clone, V: Clone> DoubleEndedIterator for Pairs<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.back.as_slice().is_empty() {
            let (leaf, at) = self.map.locate(self.ranks.end - 1);
            self.back = leaf[..=at].iter();
        }
        self.ranks.end -= 1;
        self.back.next_back().map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Random;

    fn assert_same(map: &OrderedMap<u64, u64>, model: &BTreeMap<u64, u64>) {
        assert_eq!(map.len(), model.len());
        assert!(map.iter().eq(model.iter()));
        assert!(map.iter().rev().eq(model.iter().rev()));
        assert_eq!((map.first(), map.last()), (model.first_key_value(), model.last_key_value()));
        if let Some(root) = &map.root {
            check(root);
        }
    }

    /// Counts, order and the depth of the leaves.
    fn check(node: &Node<u64, u64>) -> (usize, usize) {
        match node {
            Node::Leaf(pairs) => {
                assert!(!pairs.is_empty() && pairs.len() <= NODE_MAX);
                (pairs.len(), 0)
            }
            Node::Branch(children) => {
                assert!(!children.is_empty() && children.len() <= NODE_MAX);
                let below: Vec<_> = children.iter().map(|child| check(&child.node)).collect();
                assert!(below.windows(2).all(|pair| pair[0].1 == pair[1].1), "equally deep");
                for (child, (count, _)) in children.iter().zip(&below) {
                    assert_eq!((child.count, child.first), (*count, child_first(&child.node)));
                }
                (below.iter().map(|child| child.0).sum(), below[0].1 + 1)
            }
        }
    }

    #[test]
    fn is_as_a_plain_map() {
        let mut random = Random::new(5);
        for round in 0..40 {
            let (mut map, mut model) = (OrderedMap::default(), BTreeMap::new());
            let (span, mut frozen) = (1 + random.below(6000), Vec::new());
            for step in 0..6000_u64 {
                let key = if round % 3 == 0 { step } else { random.below(span) as u64 };
                match random.below(12) {
                    0..7 => assert_eq!(map.insert(key, step), model.insert(key, step)),
                    7..10 => {
                        let key = if round % 3 == 0 { model.keys().next().copied().unwrap_or(0) } else { key };
                        assert_eq!(map.remove(&key), model.remove(&key));
                    }
                    10 => {
                        let found = map.value_mut(&key);
                        found.into_iter().for_each(|value| *value += 1);
                        model.get_mut(&key).into_iter().for_each(|value| *value += 1);
                        assert_eq!(map.get(&key), model.get(&key));
                        let rank = model.range(..key).count();
                        assert_eq!(map.rank(&key), (rank, model.contains_key(&key)));
                        assert!(map.range(rank..map.len()).eq(model.range(key..)));
                    }
                    _ if random.below(60) == 0 => {
                        let count = random.below(map.len() + 1);
                        let front = map.split_front(count);
                        let first_kept = model.keys().nth(count).copied();
                        let back = first_kept.map(|key| model.split_off(&key)).unwrap_or_default();
                        assert_same(&front, &std::mem::replace(&mut model, back));
                        assert_same(&map, &model);
                    }
                    _ if random.below(200) == 0 => frozen.push((map.clone(), model.clone())),
                    _ => {}
                }
            }
            assert_same(&map, &model);
            frozen.iter().for_each(|(map, model)| assert_same(map, model));
        }
    }
}
