//! Elements that are gone and that nobody was given, and the pops without an answer that may have taken them, each one element at most.

/// From when until when, in ms of virtual time, both included.
pub(crate) type Window = (u64, u64);

/// Of elements that went in these windows, one that no pop of its own can have taken; pops took effect in theirs, if at all.
pub(super) fn untaken(elements: &[Window], pops: &[Window]) -> Option<usize> {
    let mut takers = vec![None; pops.len()];
    (0..elements.len()).find(|&element| !take(element, elements, pops, &mut takers, &mut vec![false; pops.len()]))
}

/// Gives an element to a pop; one that another element was given to is freed for it, if that has another one.
fn take(
    element: usize,
    elements: &[Window],
    pops: &[Window],
    takers: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    let (from, to) = elements[element];
    for (pop, &(sent, until)) in pops.iter().enumerate() {
        if sent > to || until < from || std::mem::replace(&mut tried[pop], true) {
            continue;
        }
        let is_free = match takers[pop] {
            Some(other) => take(other, elements, pops, takers, tried),
            None => true,
        };
        if is_free {
            takers[pop] = Some(element);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_needs_a_pop_of_its_own_at_its_time() {
        assert_eq!(untaken(&[], &[]), None);
        assert_eq!(untaken(&[(1, 5)], &[]), Some(0));
        assert_eq!(untaken(&[(1, 5)], &[(6, 9), (0, 0)]), Some(0));
        assert_eq!(untaken(&[(1, 5)], &[(6, 9), (0, 1)]), None);
        assert_eq!(untaken(&[(1, 5), (1, 5)], &[(0, 9)]), Some(1));
        // The first makes room for the second.
        assert_eq!(untaken(&[(1, 9), (1, 2)], &[(0, 3), (4, 9)]), None);
        assert_eq!(untaken(&[(1, 9), (1, 2), (2, 3)], &[(0, 3), (4, 9)]), Some(2));
    }
}
