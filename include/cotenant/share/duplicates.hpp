// Registry, continued: equal content. Found when a tensor is registered, so that it takes no second place; and measured on demand.
#ifndef COTENANT_SHARE_DUPLICATES_HPP
#define COTENANT_SHARE_DUPLICATES_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/form_plan.hpp"
#include "cotenant/share/proven_equal.hpp"
#include "cotenant/share/residence.hpp"

namespace cotenant::detail {

// A hash of three short samples, never 0 (FNV-1a, by bytes: http://www.isthe.com/chongo/tech/comp/fnv). They tell nearly all
// tensors of one shape apart without touching more than three pages of each.
inline std::size_t sample_of(const char* data, std::size_t bytes) {
  constexpr std::size_t length = 64;
  std::uint64_t hash = 14695981039346656037u;
  const auto add = [&](std::size_t from) {
    for (std::size_t i = from; i < std::min(from + length, bytes); ++i) hash = (hash ^ static_cast<unsigned char>(data[i])) * 1099511628211u;
  };
  add(0);
  add(bytes / 2);
  add(bytes > length ? bytes - length : 0);
  return static_cast<std::size_t>(hash | 1);
}
inline bool equal_bytes(const char* a, const char* b, std::size_t bytes) { return bytes == 0 || std::memcmp(a, b, bytes) == 0; }

inline const char* first_byte(const Block& block, const Layout& layout, DType dtype) {
  return static_cast<const char*>(block.data()) + static_cast<std::size_t>(layout.offset) * size_of(dtype);
}

// The bytes of a tensor's content, which begins with its first element and lies in one run; 0 where it does not. Quantised values and
// their parameters do where they were packed side by side, with zeros between.
inline std::size_t content_bytes(const Entry& entry) {
  if (!is_contiguous(entry.layout.shape, entry.layout.strides)) return 0;
  if (!entry.parameters) return entry.element_bytes();
  const Shape& ranges = entry.parameters->scale.shape;
  const bool zero_point = entry.parameters->zero_point.has_value();
  const QuantizedPlaces places = quantized_places(entry.dtype, entry.layout.shape, ranges, zero_point);
  return entry.layout.offset == 0 && *entry.parameters == *quantized_parameters(places, ranges, zero_point) ? places.bytes : 0;
}
inline bool same_parameters(const Entry& a, const Entry& b) {
  return a.parameters && b.parameters ? *a.parameters == *b.parameters : !a.parameters && !b.parameters;
}

// The same where they are worth comparing with others', else 0. A view keeps its bytes as they are, and work under way need not be waited for.
inline std::size_t comparable_bytes(const Entry& entry, std::size_t at_least) {
  if (!entry.source.empty() || !entry.block->host_accessible() || !entry.block->ready()) return 0;
  const std::size_t bytes = content_bytes(entry);
  return bytes >= at_least ? bytes : 0;
}

inline bool Registry::may_equal_another(const Entry& entry) const { return deduplicate_ && comparable_bytes(entry, deduplicate_from_) > 0; }

inline std::size_t Registry::content_key(const Entry& entry) const {
  std::size_t key = static_cast<std::size_t>(entry.dtype) + entry.block->storage_identity().hash();
  for (std::size_t extent : entry.layout.shape) key = (key ^ extent) * static_cast<std::size_t>(0x9E3779B97F4A7C15ull);
  return key;
}

// The candidate on the block of a registered tensor that equals it byte for byte, or null. Gives the lock back meanwhile.
// Nothing is read until a tensor of the same type, shape and storage from elsewhere is registered: a first checkpoint costs no read.
inline std::shared_ptr<Entry> Registry::twin_of(Lock& lock, const Entry& entry) {
  const std::size_t key = content_key(entry);
  const void* const origin = entry.block->origin();
  const auto may_equal = [&](const Entry& other) {
    return other.block->origin() != origin && other.dtype == entry.dtype && other.layout.shape == entry.layout.shape && same_parameters(other, entry) &&
           other.block->storage_identity() == entry.block->storage_identity() && blocks_.record(other.block).residence == Residence::resident;
  };
  const char* const data = first_byte(*entry.block, entry.layout, entry.dtype);
  const std::size_t bytes = content_bytes(entry);
  const std::optional<FilePlace> place = entry.block->place_of(data);
  {
    const auto [first, last] = contents_.equal_range(key);
    if (std::none_of(first, last, [&](const auto& item) { return may_equal(*item.second); })) return nullptr;
    // The same place in the same file, under another name: nothing to compare.
    for (auto at = first; place && at != last; ++at) {
      const Entry& other = *at->second;
      if (other.block->storage_identity() != entry.block->storage_identity()) continue;
      const std::optional<FilePlace> there = other.block->place_of(first_byte(*other.block, other.layout, other.dtype));
      if (there && same_bytes(*place, *there) && may_equal(other)) return entry.on(BlockRef(other.block), other.layout);
    }
  }
  lock.unlock();
  const std::size_t sample = sample_of(data, bytes);
  entry.sample.store(sample, std::memory_order_relaxed);
  lock.lock();
  std::vector<std::pair<std::shared_ptr<const Entry>, BlockRef>> others;
  const auto [first, last] = contents_.equal_range(key);
  for (auto at = first; at != last; ++at) {
    const std::size_t known = at->second->sample.load(std::memory_order_relaxed);
    if ((known == 0 || known == sample) && may_equal(*at->second)) others.emplace_back(at->second->shared_from_this(), BlockRef(at->second->block));
  }
  ++in_transit_;  // these handles keep blocks from leaving: whoever needs room waits
  lock.unlock();
  const auto compare = [&](const Block& block, const char* there) {
    const bool same = equal_bytes(data, there, bytes);
    // A file's pages that only the comparison read are not kept for it; where somebody uses them they come back from the page cache.
    block.drop_pages(there, bytes);
    return same;
  };
  // Files that were compared before, and are as they were, need not be read again.
  const auto is_equal = [&](const Block& block, const char* there) {
    const std::optional<FilePlace> other_place = place ? block.place_of(there) : std::nullopt;
    if (!other_place) return compare(block, there);
    if (ProvenEqual::instance().knows(*place, *other_place, bytes) && place->file->is_unchanged() && other_place->file->is_unchanged()) return true;
    if (!compare(block, there)) return false;
    ProvenEqual::instance().add(*place, *other_place, bytes);
    return true;
  };
  std::shared_ptr<Entry> twin;
  for (const auto& [other, block] : others) {
    block->wait();
    const char* const there = first_byte(*block, other->layout, entry.dtype);
    std::size_t known = other->sample.load(std::memory_order_relaxed);
    if (known == 0) other->sample.store(known = sample_of(there, bytes), std::memory_order_relaxed);
    if (twin || known != sample) continue;
    if (!is_equal(*block, there)) continue;
    twin = entry.on(block, other->layout);
    twin->sample.store(sample, std::memory_order_relaxed);
    entry.block->drop_pages(data, bytes);  // never read again, where they are a file's
  }
  others.clear();
  lock.lock();
  --in_transit_;
  changed_.notify_all();
  return twin;
}

inline std::vector<MeasuredDuplicate> Registry::duplicates() {
  struct Content {
    std::shared_ptr<const Entry> entry;
    BlockRef block;
    const char* data;
    std::size_t bytes;
    bool taken = false;
  };
  std::vector<Content> contents;
  {
    Lock lock(mutex_);
    for (const auto& [name, entry] : names_)
      if (const std::size_t bytes = comparable_bytes(*entry, deduplicate_from_); bytes > 0 && blocks_.record(entry->block).residence == Residence::resident)
        contents.push_back({entry, BlockRef(entry->block), first_byte(*entry->block, entry->layout, entry->dtype), bytes});
    ++in_transit_;
  }
  // Large ones first: the others are looked for in them.
  std::sort(contents.begin(), contents.end(),
      [](const Content& a, const Content& b) { return a.bytes != b.bytes ? a.bytes > b.bytes : a.entry->name < b.entry->name; });
  std::vector<MeasuredDuplicate> result;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const Content& whole = contents[i];
    if (whole.taken) continue;
    const Shape& shape = whole.entry->layout.shape;
    MeasuredDuplicate equal{{whole.entry->name}, true, 0}, part{{whole.entry->name}, false, 0};
    for (std::size_t j = i + 1; j < contents.size(); ++j) {
      Content& other = contents[j];
      const Shape& other_shape = other.entry->layout.shape;
      const std::size_t rank = shape.rank();
      if (other.taken || other.entry->dtype != whole.entry->dtype || other_shape.rank() != rank || other.data == whole.data ||
          !same_parameters(*other.entry, *whole.entry)) continue;
      // The one axis along which they differ; rows of the smaller one are beginnings of the larger one's.
      std::size_t axis = rank, differing = 0;
      for (std::size_t k = 0; k < rank; ++k) if (other_shape[k] != shape[k]) axis = k, ++differing;
      if (differing > 1 || (differing == 1 && (other_shape[axis] > shape[axis] || whole.entry->parameters))) continue;
      std::size_t runs = 1;
      for (std::size_t k = 0; k < axis && differing == 1; ++k) runs *= other_shape[k];
      const std::size_t long_run = whole.bytes / runs, short_run = other.bytes / runs;
      bool same = true;
      for (std::size_t run = 0; same && run < runs; ++run) same = equal_bytes(whole.data + run * long_run, other.data + run * short_run, short_run);
      if (!same) continue;
      other.taken = true;
      MeasuredDuplicate& found = differing == 0 ? equal : part;
      found.tensors.push_back(other.entry->name);
      found.saved_bytes += other.bytes;
    }
    for (MeasuredDuplicate* found : {&equal, &part}) if (found->tensors.size() > 1) result.push_back(std::move(*found));
  }
  contents.clear();
  Lock lock(mutex_);
  --in_transit_;
  changed_.notify_all();
  lock.unlock();
  std::stable_sort(result.begin(), result.end(), [](const MeasuredDuplicate& a, const MeasuredDuplicate& b) { return a.saved_bytes > b.saved_bytes; });
  return result;
}

}  // namespace cotenant::detail

#endif
