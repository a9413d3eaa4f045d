//! Cylinders, heads and sectors, which old formats still name.

/// A disk's geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u64,
    /// Heads.
    pub heads: u64,
    /// Sectors in a track.
    pub sectors: u64,
}

impl Geometry {
    /// As the appendix of the VHD specification computes it for a disk of `total` sectors.
    pub fn of_vhd(total: u64) -> Self {
        let total = total.min(65_535 * 16 * 255);
        let (sectors, heads, tracks) = if total >= 65_535 * 16 * 63 {
            (255, 16, total / 255)
        } else {
            let tracks = total / 17;
            let heads = tracks.div_ceil(1024).max(4);
            if tracks >= heads * 1024 || heads > 16 {
                let tracks = total / 31;
                if tracks >= 16 * 1024 { (63, 16, total / 63) } else { (31, 16, tracks) }
            } else {
                (17, heads, tracks)
            }
        };
        Self { cylinders: tracks / heads, heads, sectors }
    }

    /// With 63 sectors and this many heads, as IDE (16) and SCSI (255) disks are addressed; at most `most` cylinders.
    pub fn with_heads(heads: u64, total: u64, most: u64) -> Self {
        Self { cylinders: (total / (heads * 63)).min(most), heads, sectors: 63 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_stay_within_the_bounds_of_their_fields() {
        for total in [0, 1, 17 * 4, 100_000, 1 << 20, 1 << 22, 1 << 25, 65_535 * 16 * 63, 1 << 32] {
            let geometry = Geometry::of_vhd(total);
            assert!(geometry.cylinders <= 65_535 && geometry.heads <= 16 && geometry.sectors <= 255, "{geometry:?}");
            assert!(geometry.cylinders * geometry.heads * geometry.sectors <= total, "{total}: {geometry:?}");
        }
        // The table of the specification's own examples: a disk of 1 GiB.
        assert_eq!(Geometry::of_vhd(1 << 21), Geometry { cylinders: 2080, heads: 16, sectors: 63 });
    }
}
