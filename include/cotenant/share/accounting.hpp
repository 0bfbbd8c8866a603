// Accounting: from who holds which bytes to each model's unique, shared and proportional share, and what sharing saved.
#ifndef COTENANT_SHARE_ACCOUNTING_HPP
#define COTENANT_SHARE_ACCOUNTING_HPP
#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cotenant/share/form.hpp"
#include "cotenant/share/quantized_tensor.hpp"
#include "cotenant/share/tenancy.hpp"

namespace cotenant::detail {

// Where the bytes of a registered block are. Only resident ones can be leased; the others are waited for or brought back.
enum class Residence {
  resident,
  leaving,    // being spilled; still counted
  away,       // spilled or dropped; not counted
  returning,  // being read back; counted
  written,    // by a write lease, in place; counted
};

// A form of a tensor that somebody asked for (see forms.hpp).
struct FormSlot {
  // What it was made of, and what was asked: the first who did, for a quick answer to the next; `key` says what was done.
  DType source_dtype;
  Layout source;
  DType dtype;
  StorageIdentity storage_identity;
  QuantizeOptions ranges;
  std::shared_ptr<const TensorForm> wanted;
  std::string key;
  std::shared_ptr<Entry> entry = nullptr;  // null while it is being made
};

// What the registry knows of one block.
struct BlockRecord {
  std::vector<Entry*> entries;  // the names on it, oldest first
  Residence residence = Residence::resident;
  std::string spilled;          // the key under which the spill target has these bytes; empty where it has not
  std::vector<FormSlot> forms;  // what was made of these bytes; views among them are in `entries` too
};

// What is missing before some bytes fit: in all, and of their storage's own budget.
struct Missing {
  std::size_t total = 0;
  std::size_t kind = 0;
  explicit operator bool() const { return total > 0 || kind > 0; }
};

// What is kept in no block, and what of the blocks' own pages was given back for it: in all, and of one kind of storage.
struct Beside {
  std::size_t kept = 0, replaced = 0, replaced_kind = 0;
};

// The registered blocks, each counted once however many names lie on it, against the maxima: of all of them together and
// of each kind of storage. Not safe by itself: the registry's mutex guards it.
class BlockTable {
 public:
  // `refusals` are forgotten where bytes go; null: nobody asks for those.
  explicit BlockTable(std::size_t max_bytes, const std::map<std::string, std::size_t>& max_by_storage = {}, Refusals* refusals = nullptr)
      : max_bytes_(max_bytes), refusals_(refusals) {
    for (const auto& [storage, most] : max_by_storage) kinds_[storage].max = most;
  }

  std::size_t bytes() const { return bytes_; }
  std::size_t peak() const { return peak_; }
  std::size_t max_bytes() const { return max_bytes_; }
  struct Kind {
    std::size_t bytes = 0;
    std::size_t max = static_cast<std::size_t>(-1);
  };
  const std::map<std::string, Kind, std::less<>>& kinds() const { return kinds_; }
  bool is_limited() const {
    return max_bytes_ != static_cast<std::size_t>(-1) ||
        std::any_of(kinds_.begin(), kinds_.end(), [](const auto& kind) { return kind.second.max != static_cast<std::size_t>(-1); });
  }

  // What is missing before `bytes` more of a storage fit.
  Missing missing_for(std::string_view storage, std::size_t bytes, const Beside& beside = {}) const {
    const auto lacking = [&](std::size_t most, std::size_t taken) {
      const std::size_t room = most - std::min(most, taken);
      return bytes > room ? bytes - room + (taken > most ? taken - most : 0) : 0;
    };
    const auto kind = kinds_.find(storage);
    return {max_bytes_ == static_cast<std::size_t>(-1) ? 0 : lacking(max_bytes_, bytes_ + beside.kept - beside.replaced),
        kind == kinds_.end() ? 0 : lacking(kind->second.max, kind->second.bytes - beside.replaced_kind)};
  }
  // The same for a block; nothing is missing where it is registered already.
  Missing missing_for(const Block& block, const Beside& beside = {}) const {
    return blocks_.contains(&block) ? Missing{} : missing_for(block.storage_name(), block.bytes(), beside);
  }
  // Counts bytes that are about to come, or gives them back.
  void count(std::string_view storage, std::size_t bytes) {
    bytes_ += bytes;
    kind(storage).bytes += bytes;
    peak_ = std::max(peak_, bytes_);
  }
  void uncount(std::string_view storage, std::size_t bytes) {
    bytes_ -= bytes;
    kind(storage).bytes -= bytes;
    if (refusals_ != nullptr) refusals_->forget();
  }
  // Whether the entry's block is new, which changes bytes().
  bool add(Entry& entry) {
    std::vector<Entry*>& entries = blocks_[entry.block].entries;
    entries.push_back(&entry);
    if (entries.size() > 1) return false;
    count(entry.block->storage_name(), entry.block->bytes());
    return true;
  }
  // Whether it was the last entry on its block, which is not known any more then.
  bool remove(Entry& entry) {
    const auto found = blocks_.find(entry.block);
    std::erase(found->second.entries, &entry);
    if (!found->second.entries.empty()) return false;
    if (found->second.residence != Residence::away) uncount(entry.block->storage_name(), entry.block->bytes());
    blocks_.erase(found);
    return true;
  }
  BlockRecord& record(const Block* block) { return blocks_.find(block)->second; }
  const BlockRecord& record(const Block* block) const { return blocks_.find(block)->second; }
  // The entries on one block, oldest first.
  const std::vector<Entry*>& on(const Block* block) const { return record(block).entries; }
  bool contains(const Block* block) const { return blocks_.contains(block); }
  std::unordered_map<const Block*, BlockRecord>& all() { return blocks_; }
  const std::unordered_map<const Block*, BlockRecord>& all() const { return blocks_; }

 private:
  Kind& kind(std::string_view storage) {
    const auto found = kinds_.find(storage);
    return found != kinds_.end() ? found->second : kinds_[std::string(storage)];
  }

  const std::size_t max_bytes_;
  Refusals* const refusals_;
  std::size_t bytes_ = 0;
  std::size_t peak_ = 0;
  std::map<std::string, Kind, std::less<>> kinds_;
  std::unordered_map<const Block*, BlockRecord> blocks_;
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
