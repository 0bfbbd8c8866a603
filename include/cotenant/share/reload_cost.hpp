// What it costs to have bytes again that left memory: the estimate that chooses between victims.
#ifndef COTENANT_SHARE_RELOAD_COST_HPP
#define COTENANT_SHARE_RELOAD_COST_HPP
#include <cstddef>

namespace cotenant::detail {

// About how long the bytes take to be there again, for choosing between victims only. Rates are those of one disk of a
// usual machine with a page cache: a mapping is read by faults at some 4 GB/s, a spilled block is read at 2 GB/s, one that
// is not spilled yet must be written first, at 1 GB/s, and what cannot come back has to be computed: at some 0.1 GB/s.
inline double reload_seconds(std::size_t bytes, bool droppable, bool spilled, bool for_good) {
  const auto size = static_cast<double>(bytes);
  if (for_good) return 1e-3 + size / 1e8;
  if (droppable) return 1e-5 + size / 4e9;
  return 1e-4 + size / 2e9 + (spilled ? 0 : size / 1e9);
}

// A form is made again from its source: at some 0.5 GB/s.
inline double derive_seconds(std::size_t bytes) { return 1e-5 + static_cast<double>(bytes) / 5e8; }

}  // namespace cotenant::detail

#endif
