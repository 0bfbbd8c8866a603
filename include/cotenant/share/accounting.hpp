// Accounting: from who holds which bytes to each model's unique, shared and proportional share, and what sharing saved.
#ifndef COTENANT_SHARE_ACCOUNTING_HPP
#define COTENANT_SHARE_ACCOUNTING_HPP
#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cotenant/share/tenancy.hpp"

namespace cotenant::detail {

// The registered blocks, each counted once however many names lie on it, against a maximum.
// Not safe by itself: the registry's mutex guards it.
class BlockTable {
 public:
  explicit BlockTable(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  std::size_t bytes() const { return bytes_; }
  std::size_t peak() const { return peak_; }
  std::size_t max_bytes() const { return max_bytes_; }
  // What is missing before the block fits: 0 where it does, or is counted already.
  std::size_t missing_for(const Block& block) const {
    if (blocks_.contains(&block)) return 0;
    const std::size_t room = max_bytes_ - bytes_;
    return block.bytes() > room ? block.bytes() - room : 0;
  }
  // Whether the entry's block is new, which changes bytes().
  bool add(Entry& entry) {
    std::vector<Entry*>& entries = blocks_[entry.block];
    entries.push_back(&entry);
    if (entries.size() > 1) return false;
    bytes_ += entry.block->bytes();
    peak_ = std::max(peak_, bytes_);
    return true;
  }
  // Whether it was the last entry on its block, which changes bytes().
  bool remove(Entry& entry) {
    const auto found = blocks_.find(entry.block);
    std::erase(found->second, &entry);
    if (!found->second.empty()) return false;
    bytes_ -= entry.block->bytes();
    blocks_.erase(found);
    return true;
  }
  // The entries on one block, oldest first.
  const std::vector<Entry*>& on(const Block* block) const { return blocks_.find(block)->second; }
  const std::unordered_map<const Block*, std::vector<Entry*>>& all() const { return blocks_; }

 private:
  const std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::size_t peak_ = 0;
  std::unordered_map<const Block*, std::vector<Entry*>> blocks_;
};

// A range of bytes that a model, named by an index, holds.
struct Holding {
  ByteRange range;
  std::size_t model = 0;
};

struct ModelShare {
  std::size_t unique_bytes = 0;
  std::size_t shared_bytes = 0;
  double proportional_bytes = 0;
};

struct Shares {
  std::vector<ModelShare> models;
  std::size_t saved_bytes = 0;  // (k - 1) bytes for each byte that k models hold
};

// Sweeps over the ends of the ranges of each block; between two neighbouring ends the set of holders is constant.
inline Shares share_out(const std::vector<Holding>& holdings, std::size_t model_count) {
  struct End {
    const void* block;
    std::size_t position;
    std::size_t model;
    bool begins;
  };
  std::vector<End> ends;
  ends.reserve(holdings.size() * 2);
  for (const Holding& holding : holdings) {
    if (holding.range.first >= holding.range.last) continue;
    ends.push_back({holding.range.block, holding.range.first, holding.model, true});
    ends.push_back({holding.range.block, holding.range.last, holding.model, false});
  }
  std::sort(ends.begin(), ends.end(), [](const End& a, const End& b) {
    if (a.block != b.block) return std::less<const void*>()(a.block, b.block);
    return a.position < b.position;
  });
  Shares shares;
  shares.models.resize(model_count);
  std::vector<std::size_t> open(model_count, 0);  // ranges of each model that are open here
  std::vector<std::size_t> holders;               // the models with an open range
  for (std::size_t index = 0; index < ends.size(); ++index) {
    const End& end = ends[index];
    if (end.begins) {
      if (open[end.model]++ == 0) holders.push_back(end.model);
    } else if (--open[end.model] == 0) {
      std::erase(holders, end.model);
    }
    if (holders.empty()) continue;  // in particular after the last end of a block
    const std::size_t length = ends[index + 1].position - end.position;
    for (std::size_t model : holders) {
      ModelShare& share = shares.models[model];
      (holders.size() == 1 ? share.unique_bytes : share.shared_bytes) += length;
      share.proportional_bytes += static_cast<double>(length) / static_cast<double>(holders.size());
    }
    shares.saved_bytes += (holders.size() - 1) * length;
  }
  return shares;
}

}  // namespace cotenant::detail

#endif
