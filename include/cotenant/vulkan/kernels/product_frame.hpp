// ProductFrame: what every matrix product kernel begins with (its buffers, extents, offsets, place in the grid) and ends with (the epilogue).
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_FRAME_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_FRAME_HPP
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cotenant/core/function_ref.hpp"
#include "cotenant/vulkan/few.hpp"
#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/kernel_key.hpp"
#include "cotenant/vulkan/kernels/axes.hpp"
#include "cotenant/vulkan/kernels/matrix_product.hpp"
#include "cotenant/vulkan/spirv_element.hpp"
#include "cotenant/vulkan/spirv_value.hpp"

namespace cotenant::vulkan {

// How a block of an operand comes into shared memory. `depth` is the axis that is summed over, `across` the other one.
enum class Fetch : std::uint8_t {
  vector_depth,   // elements lie along depth: rows begin at multiples of a vector, and so does their end
  vector_across,  // the same along the other axis
  scalar_depth,   // any strides and extents; neighbours along depth are nearer
  scalar_across,
};
constexpr bool is_vector(Fetch fetch) { return fetch == Fetch::vector_depth || fetch == Fetch::vector_across; }
constexpr const char* to_string(Fetch fetch) {
  constexpr const char* names[] = {"vd", "va", "sd", "sa"};
  return names[static_cast<int>(fetch)];
}

// What one workgroup multiplies: rows x columns of the result in steps of depth.
struct TileExtent {
  std::uint32_t rows, columns, depth;
};

// How the epilogue reads an extra operand along a row of the result.
enum class Along : std::uint8_t {
  repeated,  // one element for all of it
  dense,     // neighbours, in vectors of four
  same,      // dense, and the same in every row
  strided,
};

class ProductFrame;
// f({sum, extras...}), numbers or vectors of four: the sum is an f32, or an i32 of integer products; extras and the result are
// register values. Made once per kernel, where its scalars are declared.
using Epilogue = std::function<spirv::Value(const std::vector<spirv::Value>&)>;
using MakeEpilogue = std::function<Epilogue(ProductFrame&)>;
// The number at (across, depth) of the left or right side, where elements are not the numbers themselves.
using EmitElement = std::function<spirv::Value(ProductFrame&, bool left, spirv::Value across, spirv::Value depth)>;

// What the code of a product depends on, beside its tile.
struct ProductCode {
  std::size_t batch_rank = 0;
  DType a{}, b{}, out{};
  Fetch fetch_a{}, fetch_b{};
  bool vector_out = false;  // the result and what is dense of the extra operands in vectors of four along a row
  struct Extra {
    DType type;
    Along along = Along::strided;
    bool in_epilogue = true;  // else something else reads it
  };
  std::vector<Extra> extra;
  bool integers = false;        // sums of i32 products
  std::size_t parameters = 0;  // how many of the first extra operands the elements' hooks read: scales and zero points
  std::string epilogue_text, element_text;
  MakeEpilogue epilogue;
  std::vector<std::uint32_t> element_scalars, scalars;  // the hooks' and the epilogue's own, behind the product's; no part of the key
  EmitElement element_a, element_b;  // of quantised values; absent where elements are the numbers. Needs a scalar fetch
  EmitElement four_a, four_b;        // beside them where four neighbours along depth may be read at once, from a multiple of four on: as a vector

  bool gives_halves() const { return out == DType::f16 || out == DType::bf16; }
  // How many of the first extra operands the epilogue does not see: integers are scaled when they are summed up.
  std::size_t hidden() const { return integers ? 0 : parameters; }
  void append_to(KernelKey& key) const {
    key.append(integers ? "i32 " : "", to_string(a), ' ', to_string(fetch_a), ',', to_string(b), ' ', to_string(fetch_b), '>', to_string(out),
        vector_out ? " v" : " s", " batch", batch_rank);
    for (const Extra& x : extra) {
      key.append(' ', to_string(x.type));
      if (x.in_epilogue) key.append(static_cast<int>(x.along));
      else key.append('-');
    }
    key.append(' ', element_text, ' ', epilogue_text);
  }
  KernelKey key() const {
    KernelKey text;
    append_to(text);
    return text;
  }
};

// One operand inside a kernel: offsets count elements.
struct OperandCode {
  Elements elements;
  DType type{};
  spirv::Value first, row, column, base;  // base: of this workgroup's batch
  std::vector<spirv::Value> batch;
};

class ProductFrame {
 public:
  using Value = spirv::Value;
  // Scalars in the order of `product_scalars`.
  ProductFrame(KernelBuilder& builder, const ProductCode& what) : k(builder), code(what) {
    operands.resize(3 + code.extra.size());
    for (std::size_t i = 0; i < operands.size(); ++i) {
      operands[i].type = i == 0 ? code.a : i == 1 ? code.b : i == 2 ? code.out : code.extra[i - 3].type;
      operands[i].elements = Elements(k, operands[i].type);
    }
    rows = k.scalar(), columns = k.scalar(), depth = k.scalar(), split_depth = k.scalar(), batches = k.scalar(), split_stride = k.scalar();
    for (std::size_t axis = 0; axis < code.batch_rank; ++axis) batch_extent.push_back(k.scalar());
    for (OperandCode& x : operands) {
      x.first = k.scalar(), x.row = k.scalar(), x.column = k.scalar();
      for (std::size_t axis = 0; axis < code.batch_rank; ++axis) x.batch.push_back(k.scalar());
    }
    for (std::size_t i = 0; i < code.element_scalars.size(); ++i) element_scalars.push_back(k.scalar());
    epilogue_ = code.epilogue(*this);
  }

  static constexpr std::uint32_t all_rows = 0;
  // Calls body() for the tile of this workgroup; the result's tiles are walked through in stripes of so many rows of tiles, so
  // that what neighbours read stays in the second-level cache; all_rows: one tile has them all. Sets row0, column0, from, to and the operands' bases.
  void for_tile(std::uint32_t tile_rows, std::uint32_t tile_columns, FunctionRef<void()> body, std::uint32_t stripe_rows = 8) {
    const Value group = k.workgroup_id(1) * static_cast<std::uint32_t>(groups_per_row) + k.workgroup_id(0);
    const Value down = (rows + (tile_rows - 1)) / tile_rows, over = (columns + (tile_columns - 1)) / tile_columns;
    const Value tiles = stripe_rows == all_rows ? over : down * over;
    const Value matrix = group / tiles, tile = group % tiles;
    const bool batched = code.batch_rank != 0;
    const Value split = batched ? matrix / batches : matrix;
    k.when(split * split_depth < depth || split == 0u, [&] {
      if (stripe_rows == all_rows) {
        row0 = k.constant(0u), column0 = tile * tile_columns;
      } else {
        const Value stripe = over * stripe_rows, index = tile / stripe, inside = tile % stripe;
        const Value high = spirv::min(down - index * stripe_rows, stripe_rows);
        row0 = (index * stripe_rows + inside % high) * tile_rows;
        column0 = inside / high * tile_columns;
      }
      from = split * split_depth;
      to = spirv::min(from + split_depth, depth);
      locate(batched ? matrix % batches : matrix, split);
      body();
    });
  }
  // The operands' bases for one matrix of the batch.
  void locate(Value matrix, Value split) {
    for (OperandCode& x : operands) x.base = x.first;
    for (std::size_t axis = code.batch_rank; axis-- > 0;) {
      const Value index = axis == 0 ? matrix : matrix % batch_extent[axis];
      if (axis != 0) matrix = matrix / batch_extent[axis];
      for (OperandCode& x : operands) x.base = x.base + index * x.batch[axis];
    }
    operands[2].base = operands[2].base + split * split_stride;
  }

  // What sums are made of.
  Type number() { return code.integers ? k.i32() : k.f32(); }
  // sum + left right. Fused by name: a module that keeps NaN and -0 is not contracted, at half the speed.
  Value accumulate(Value sum, Value left, Value right) { return code.integers ? sum + left * right : spirv::fma(left, right, sum); }
  // Elements as numbers of that kind. Four from `index` on, a multiple of 4.
  Value load_number(const OperandCode& x, Value index) { return as_number(x.elements.load(index)); }
  Value load_numbers(const OperandCode& x, Value index) { return as_number(x.elements.load_vectors(index >> 2u, 1)[0]); }
  Value as_number(Value v) { return spirv::convert(spirv::shaped_as(v.type, number()), v); }
  // The number of the left or right side at one place; slow beside what a tile does, for any strides and quantised values.
  Value element(bool left, Value across, Value step) {
    const EmitElement& hook = left ? code.element_a : code.element_b;
    if (hook) return hook(*this, left, across, step);
    const OperandCode& x = operands[left ? 0 : 1];
    return load_number(x, x.base + across * (left ? x.row : x.column) + step * (left ? x.column : x.row));
  }

  Value offset(const OperandCode& x, Value m, Value n) const { return x.base + m * x.row + n * x.column; }
  void store_one(Value m, Value n, Value sum) {
    std::vector<Value> values{sum};
    for (std::size_t i = 3; i < operands.size(); ++i) if (code.extra[i - 3].in_epilogue) values.push_back(operands[i].elements.load(offset(operands[i], m, n)));
    operands[2].elements.store(offset(operands[2], m, n), epilogue_(values));
  }
  void store_four(Value m, Value n, Value sums) { write_four(m, n, finished(m, n, sums)); }
  // The epilogue of four neighbours in a row, all within the result. `known` holds, for each extra operand, what was read already.
  Value finished(Value m, Value n, Value sums, const std::vector<Value>& known = {}) {
    std::vector<Value> values{sums};
    for (std::size_t i = 3; i < operands.size(); ++i)
      if (code.extra[i - 3].in_epilogue) values.push_back(i - 3 < known.size() && known[i - 3].exists() ? known[i - 3] : extra_four(i, m, n));
    return epilogue_(values);
  }
  Value extra_four(std::size_t i, Value m, Value n) {
    const OperandCode& x = operands[i];
    if (code.extra[i - 3].along == Along::repeated) return spirv::splat(x.elements.load(x.base + m * x.row), 4);
    return x.elements.load_vectors((x.base + m * x.row + n) >> 2u, 1)[0];
  }
  void write_four(Value m, Value n, Value values) { operands[2].elements.store_vectors((operands[2].base + m * operands[2].row + n) >> 2u, {values}); }

  KernelBuilder& k;
  const ProductCode& code;
  std::vector<OperandCode> operands;  // a, b, out, extra
  Value rows, columns, depth, split_depth, batches, split_stride;
  std::vector<Value> batch_extent, element_scalars;
  Value row0, column0, from, to;

 private:
  Epilogue epilogue_;
};

// The scalars of one launch, as ProductFrame reads them.
inline Few<std::uint32_t, 64> product_scalars(const MatrixProduct& product, const ProductCode& code, std::size_t split_depth,
    std::size_t split_stride = 0) {
  const auto scalar = [](std::size_t value) { return static_cast<std::uint32_t>(value); };
  Few<std::uint32_t, 64> scalars{scalar(product.rows), scalar(product.columns), scalar(product.depth), scalar(split_depth), scalar(product.batches()),
      scalar(split_stride)};
  // Axes that are not there have one element.
  for (std::size_t axis = 0; axis < code.batch_rank; ++axis) scalars.push_back(axis < product.batch_rank ? scalar(product.batch[axis]) : 1);
  for (const MatrixOperand& x : product.operands) {
    scalars.push_back(x.reach.first), scalars.push_back(wrapped(x.row)), scalars.push_back(wrapped(x.column));
    for (std::size_t axis = 0; axis < code.batch_rank; ++axis) scalars.push_back(axis < product.batch_rank ? wrapped(x.batch[axis]) : 0);
  }
  scalars.append(code.element_scalars);
  scalars.append(code.scalars);
  return scalars;
}
// The epilogue that leaves sums as they are.
inline Epilogue plain_epilogue(ProductFrame&) {
  return [](const std::vector<Value>& values) { return values[0]; };
}

}  // namespace cotenant::vulkan

#endif
