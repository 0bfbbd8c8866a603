// StripWriter: how a product's sums leave shared memory through the epilogue, strip by strip of the result.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_STRIP_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_STRIP_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cotenant/core/function_ref.hpp"
#include "cotenant/vulkan/kernels/product_frame.hpp"

namespace cotenant::vulkan {

// load(row, c4): four sums of a strip of the result, as a vector, from its column 4 c4 on.
using LoadSums = FunctionRef<spirv::Value(spirv::Value, spirv::Value)>;

// Stores strips of the result that lie under each other, strip_columns wide: what only depends on the column is read once for all.
class StripWriter {
 public:
  StripWriter(ProductFrame& frame, Value column, std::uint32_t strip_columns, Value thread, std::uint32_t threads)
      : frame_(frame), column_(column), thread_(thread), columns_(strip_columns), threads_(threads) {
    // Threads beyond whole rows of vectors, a quarter of them at most, follow the last one within and store nothing.
    const std::uint32_t lines = threads / quads(), whole = lines * quads();
    by_columns_ = frame.code.vector_out && (whole == threads || (4 * whole >= 3 * threads && (lines & (lines - 1)) == 0));
    if (!by_columns_) return;
    if (whole != threads) thread_ = spirv::min(thread, whole - 1), threads_ = whole;
    const Value n = column + thread_ % quads() * 4u;
    inside_ = whole == threads ? n < frame.columns : n < frame.columns && thread < whole;
    at_ = spirv::min(n, (frame.columns - 1u) / 4u * 4u);
    for (std::size_t i = 0; i < frame.code.extra.size(); ++i) {
      const ProductCode::Extra& x = frame.code.extra[i];
      known_.push_back(x.in_epilogue && x.along == Along::same ? frame.extra_four(i + 3, frame.k.constant(0u), at_) : Value{});
    }
  }
  // What the epilogue reads of its extra operands for a strip of so many rows from `row` on, up to four rows of each thread: asked for
  // before the strip's sums lie in shared memory, it has come when they do.
  using Asked = std::vector<std::vector<Value>>;
  Asked ask(Value row, std::uint32_t rows) const {
    Asked asked;
    const auto reads = [&](const ProductCode::Extra& x) { return x.in_epilogue && x.along != Along::same; };
    if (!stays_in_columns(rows) || std::none_of(frame_.code.extra.begin(), frame_.code.extra.end(), reads)) return asked;
    for (std::uint32_t i = 0; i < at_once(rows); ++i) asked.push_back(extras(row + thread_ / quads() + i * step()));
    return asked;
  }
  // [rows, strip_columns] from `row` on; load(r, c4) gives the four sums from column 4 c4 of the strip on.
  void store(Value row, std::uint32_t rows, LoadSums load, Asked asked = {}) const {
    KernelBuilder& k = frame_.k;
    if (stays_in_columns(rows)) {
      // Four rows at once: their reads are all under way before the first is used.
      const std::uint32_t further = step() * at_once(rows), whole = step() * rows_of_thread(rows);
      const Value first = thread_ / quads(), c4 = thread_ % quads();
      const auto four = [&](Value r) {
        std::vector<Value> sums, results;
        for (std::uint32_t i = 0; i < at_once(rows); ++i) sums.push_back(load(r + i * step(), c4));
        for (std::uint32_t i = 0; i < at_once(rows); ++i)
          results.push_back(frame_.finished(row + r + i * step(), at_, sums[i], asked.empty() ? extras(row + r + i * step()) : asked[i]));
        asked.clear();
        for (std::uint32_t i = 0; i < at_once(rows); ++i) {
          const Value at = row + r + i * step();
          k.when(at < frame_.rows && inside_, [&] { frame_.write_four(at, at_, results[i]); });
        }
      };
      if (!asked.empty()) for (std::uint32_t r = 0; r < whole; r += further) four(first + r);
      else k.loop(first, first + whole, further, four);
    } else if (frame_.code.vector_out) {
      k.loop(thread_, rows * quads(), threads_, [&](Value i) {
        const Value r = i / quads(), c4 = i % quads(), m = row + r, n = column_ + c4 * 4u;
        k.when(m < frame_.rows && n < frame_.columns, [&] { frame_.store_four(m, n, load(r, c4)); });
      });
    } else {
      const std::uint32_t count = rows * columns_, at_once = count % (4 * threads_) == 0 ? 4 : 1;
      k.loop(thread_, count, threads_ * at_once, [&](Value index) {
        std::vector<Value> sums, at_row, at_column;
        for (std::uint32_t i = 0; i < at_once; ++i) {
          const Value place = index + i * threads_, r = place / columns_, c = place % columns_;
          sums.push_back(spirv::extract(load(r, c / 4u), c % 4u)), at_row.push_back(row + r), at_column.push_back(column_ + c);
        }
        for (std::uint32_t i = 0; i < at_once; ++i)
          k.when(at_row[i] < frame_.rows && at_column[i] < frame_.columns, [&] { frame_.store_one(at_row[i], at_column[i], sums[i]); });
      });
    }
  }

 private:
  std::uint32_t quads() const { return columns_ / 4; }
  std::uint32_t step() const { return threads_ / quads(); }  // rows that threads have side by side
  bool stays_in_columns(std::uint32_t rows) const { return by_columns_ && rows % step() == 0; }
  std::uint32_t rows_of_thread(std::uint32_t rows) const { return rows / step(); }
  std::uint32_t at_once(std::uint32_t rows) const { return rows_of_thread(rows) % 4 == 0 ? 4 : 1; }
  // The extra operands' four elements in a row; rows behind the last are read as that one.
  std::vector<Value> extras(Value m) const {
    std::vector<Value> values = known_;
    for (std::size_t i = 0; i < values.size(); ++i)
      if (frame_.code.extra[i].in_epilogue && !values[i].exists()) values[i] = frame_.extra_four(i + 3, spirv::min(m, frame_.rows - 1u), at_);
    return values;
  }

  ProductFrame& frame_;
  Value column_, thread_, inside_, at_;
  std::uint32_t columns_, threads_;
  bool by_columns_;  // whether each thread stays in its four columns
  std::vector<Value> known_;
};

}  // namespace cotenant::vulkan

#endif
