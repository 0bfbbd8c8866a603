// make_form(): carries a FormPlan out on the bytes of a tensor.
#ifndef COTENANT_SHARE_MAKE_FORM_HPP
#define COTENANT_SHARE_MAKE_FORM_HPP
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cotenant/share/form_plan.hpp"

namespace cotenant::detail {

// Where a form is put: a storage of any type.
struct FormRoom {
  StorageIdentity storage_identity;
  std::string_view storage;  // its name
  BlockRef (*allocate)(std::size_t bytes) = nullptr;
  std::size_t (*taken_for)(std::size_t bytes) = nullptr;  // what it really takes
};
template <AllocatingStorage S> inline constexpr FormRoom form_room{
    StorageIdentity::of<S>(), S::name(), [](std::size_t bytes) { return Block::allocate(S{}, bytes); },
    [](std::size_t bytes) {
      if constexpr (std::same_as<S, Heap>) return HeapCache::padded(bytes);
      else return bytes;
    }};

struct MadeForm {
  BlockRef block;
  Layout layout;
  std::shared_ptr<const QuantizedParameters> parameters;
};

// One state of the elements on their way into a form.
struct FormStage {
  BlockRef block;
  DType dtype;
  Layout layout;
  const QuantizedParameters* parameters = nullptr;
  RowReader reader() const { return RowReader(dtype, block->data(), layout, parameters); }
};

inline void copy_elements(const FormStage& from, const Shape& row_major, void* to) {
  const std::size_t size = size_of(from.dtype), count = row_length(from.layout.shape), step = row_length(row_major) * size;
  char* out = static_cast<char*>(to);
  for_each_row(from.layout.shape, [&](const Shape& index) {
    gather_row(size, static_cast<const char*>(from.block->data()) + row_offset(from.layout, index) * static_cast<std::ptrdiff_t>(size),
        row_stride(from.layout), count, out);
    out += step;
  });
}

inline FormStage as_floats(const FormStage& from) {
  const RowReader reader = from.reader();
  BlockRef block = Block::allocate(Heap{}, checked_multiply(element_count(reader.shape()), sizeof(float), "the number of bytes"));
  convert_rows(reader, DType::f32, block->data());
  return {std::move(block), DType::f32, contiguous_layout(reader.shape())};
}

// Errors: OutOfMemory; ShapeError where a projection gives another shape than it promised; what it throws.
inline MadeForm make_form(const FormPlan& plan, const FormSource& source, const BlockRef& block, const FormRoom& room) {
  block->wait();
  FormStage stage{block, source.dtype, plan.padded || plan.projection ? source.layout : plan.layout, source.parameters};
  bool own = false;  // on bytes of the form's own
  if (stage.parameters != nullptr && (plan.padded || plan.projection || !plan.axes.empty())) {
    const bool moved = !plan.padded && !plan.projection;
    stage = as_floats({block, source.dtype, source.layout, source.parameters});
    if (moved) stage.layout = permute(stage.layout, plan.axes);
  }
  if (plan.projection) {
    if (stage.dtype != DType::f32 || !is_contiguous(stage.layout.shape, stage.layout.strides)) stage = as_floats(stage);
    const std::size_t count = element_count(stage.layout.shape);
    const auto rows = borrow(std::span<float>(static_cast<float*>(stage.block->data()) + stage.layout.offset, count), stage.layout.shape,
        [held = stage.block] {});
    Shape expected = stage.layout.shape;
    expected[expected.rank() - 1] = plan.projection.out;
    const SharedTensor<float> projected = (*plan.projection.apply)(rows.freeze());
    if (!projected || !(projected.shape() == expected))
      raise<ShapeError>("a projection of shape " + to_string(stage.layout.shape) + " was to give " + to_string(expected) + ", but gave " +
          to_string(projected.shape()));
    projected.block()->wait();
    own = projected.use_count() == 1 && !projected.block()->published() && projected.block()->bytes() == room.taken_for(plan.bytes);
    stage = {projected.block(), DType::f32, projected.layout()};
  } else if (plan.padded) {
    Shape shape = stage.layout.shape;
    const std::size_t width = shape.back();
    shape[shape.rank() - 1] = *plan.padded;
    if (*plan.padded < width) {  // quantised values are cut when they are numbers
      stage.layout = slice(stage.layout, -1, 0, static_cast<std::ptrdiff_t>(*plan.padded));
    } else {
      const std::size_t bytes = checked_multiply(element_count(shape), size_of(stage.dtype), "the number of bytes");
      own = stage.dtype == plan.dtype;
      BlockRef wide = own ? room.allocate(bytes) : Block::allocate(Heap{}, bytes);
      std::memset(wide->data(), 0, bytes);
      copy_elements(stage, shape, wide->data());
      stage = {std::move(wide), stage.dtype, contiguous_layout(shape)};
    }
  }
  if ((plan.padded || plan.projection) && !plan.axes.empty()) stage.layout = permute(stage.layout, plan.axes);
  if (own && stage.dtype == plan.dtype && stage.block->storage_identity() == room.storage_identity &&
      (!plan.row_major || is_contiguous(stage.layout.shape, stage.layout.strides)))
    return {stage.block, stage.layout, nullptr};

  BlockRef result = room.allocate(plan.bytes);
  char* const bytes = static_cast<char*>(result->data());
  if (!is_quantized(plan.dtype) || plan.dtype == stage.dtype) {
    if (plan.dtype == stage.dtype) copy_elements(stage, stage.layout.shape, bytes);
    else convert_rows(stage.reader(), plan.dtype, bytes);
    return {std::move(result), contiguous_layout(plan.shape), nullptr};
  }
  const RowReader reader = stage.reader();
  const Shape ranges = range_shape(reader.shape(), plan.ranges);
  const QuantizedPlaces places = quantized_places(plan.dtype, plan.shape, ranges, plan.dtype == DType::u8);
  std::memset(bytes, 0, places.bytes);
  quantize_rows(reader, plan.dtype, ranges, bytes, reinterpret_cast<float*>(bytes + places.scale), reinterpret_cast<std::uint8_t*>(bytes + places.zero_point));
  return {std::move(result), contiguous_layout(plan.shape), quantized_parameters(places, ranges, plan.dtype == DType::u8)};
}

// A quantised tensor's values and parameters in one block, copied where they are not, so that they are counted, leased and sent away together.
// Errors: ShapeError where the parameters do not divide the values; InvalidArgument where there is no scale, or they lie in different
// blocks of a storage that makes none; OutOfMemory.
template <QuantizedElement Q, Storage S> MadeForm pack_quantized(const Quantized<Q, S>& tensor) {
  if (!tensor.values || !tensor.scale) raise<InvalidArgument>("a quantised tensor needs values and a scale to be registered");
  check_ranges(tensor);
  const Layout scale = padded_rank(tensor.scale.layout(), tensor.values.rank());
  const bool zero_point = static_cast<bool>(tensor.zero_point);
  const BlockRef& whole = tensor.values.block();
  if (tensor.scale.block() == whole && (!zero_point || tensor.zero_point.block() == whole)) {  // as a form lies: nothing to copy
    QuantizedParameters parameters{scale, std::nullopt};
    if (zero_point) parameters.zero_point = padded_rank(tensor.zero_point.layout(), tensor.values.rank());
    return {whole, tensor.values.layout(), std::make_shared<const QuantizedParameters>(std::move(parameters))};
  }
  if constexpr (AllocatingStorage<S>) {
    const QuantizedPlaces places = quantized_places(dtype_of<Q>, tensor.values.shape(), scale.shape, zero_point);
    BlockRef block = Block::allocate(tensor.values.block()->template storage<S>(), places.bytes);
    char* const bytes = static_cast<char*>(block->data());
    std::memset(bytes, 0, places.bytes);
    const auto put = [&](const auto& part, const Layout& layout, std::size_t place) {
      using T = typename std::remove_cvref_t<decltype(part)>::element_type;
      part.block()->wait();
      copy_elements({part.block(), dtype_of<T>, layout}, layout.shape, bytes + place);
    };
    put(tensor.values, tensor.values.layout(), 0);
    put(tensor.scale, scale, places.scale);
    if (zero_point) put(tensor.zero_point, padded_rank(tensor.zero_point.layout(), tensor.values.rank()), places.zero_point);
    return {std::move(block), contiguous_layout(tensor.values.shape()), quantized_parameters(places, scale.shape, zero_point)};
  } else {
    raise<InvalidArgument>("the values and the scale of a quantised tensor in storage '" + std::string(S::name()) +
        "' lie in different blocks: copy them to the heap to register them as one");
  }
}

}  // namespace cotenant::detail

#endif
