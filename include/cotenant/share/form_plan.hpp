// FormPlan: what has to be done to a tensor before a model can take it in its form, what that costs, or why it cannot be done.
#ifndef COTENANT_SHARE_FORM_PLAN_HPP
#define COTENANT_SHARE_FORM_PLAN_HPP
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/share/element_rows.hpp"
#include "cotenant/share/form.hpp"
#include "cotenant/share/quantized_tensor.hpp"

namespace cotenant::detail {

constexpr bool is_float(DType dtype) { return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16; }
constexpr bool is_quantized(DType dtype) { return dtype == DType::i8 || dtype == DType::u8 || dtype == DType::i4x2; }

// What is known of a tensor before its bytes are looked at.
struct FormSource {
  DType dtype = DType::f32;
  Layout layout;
  const QuantizedParameters* parameters = nullptr;  // null: it has none
};

struct FormPlan {
  std::string refusal;                  // why there is no such form; empty: there is
  bool wrong_type = false;              // the element type is why
  std::string how;                      // "768 → 384 wide by slice, f32 → f16"; empty: the tensor as it is
  bool is_view = true;                  // nothing is computed: `layout` of the tensor's own block
  Layout layout;                        // of a view
  std::optional<std::size_t> padded;    // the width to pad to
  Projection projection;                // empty: none
  std::vector<std::size_t> axes;
  bool row_major = false;
  DType dtype = DType::f32;             // of the result
  QuantizeOptions ranges;               // where that is quantised
  Shape shape;                          // of the result's elements
  std::size_t bytes = 0;                // the result's own: 0 for a view
  std::string key;                      // equal where the result would be, of one source
};

// Where the parts of a quantised tensor lie in one block: values, scale, zero point, each from a cache line on.
struct QuantizedPlaces {
  std::size_t scale = 0, zero_point = 0, bytes = 0;  // offsets, and the end
};
inline QuantizedPlaces quantized_places(DType dtype, const Shape& elements, const Shape& ranges, bool zero_point) {
  constexpr std::size_t line = 64;
  const auto up = [](std::size_t offset) { return (offset + line - 1) / line * line; };
  QuantizedPlaces places;
  places.scale = up(element_count(elements) * size_of(dtype));
  places.zero_point = up(places.scale + element_count(ranges) * sizeof(float));
  places.bytes = zero_point ? places.zero_point + element_count(ranges) : places.scale + element_count(ranges) * sizeof(float);
  return places;
}
inline std::shared_ptr<const QuantizedParameters> quantized_parameters(const QuantizedPlaces& places, const Shape& ranges, bool zero_point) {
  QuantizedParameters parameters{contiguous_layout(ranges), std::nullopt};
  parameters.scale.offset = static_cast<std::ptrdiff_t>(places.scale / sizeof(float));
  if (zero_point) {
    parameters.zero_point = contiguous_layout(ranges);
    parameters.zero_point->offset = static_cast<std::ptrdiff_t>(places.zero_point);
  }
  return std::make_shared<const QuantizedParameters>(std::move(parameters));
}

// The form that a model wants (null: none of its own) with elements of `asked`. Errors: ShapeError where the ranges do not divide the tensor.
inline FormPlan plan_form(const FormSource& source, const TensorForm* wanted, DType asked, const QuantizeOptions& ranges = per_row) {
  static const TensorForm as_it_is;
  const TensorForm& form = wanted == nullptr ? as_it_is : *wanted;
  FormPlan plan;
  plan.layout = source.layout;
  plan.dtype = asked;
  const auto refuse = [&](std::string why, bool wrong_type = false) {
    plan.refusal = std::move(why);
    plan.wrong_type = wrong_type;
    return plan;
  };
  const auto then = [&](const std::string& step) { plan.how += (plan.how.empty() ? "" : ", ") + step; };
  const std::size_t rank = source.layout.shape.rank();
  const bool reshapes = form.width || form.projection || !form.axes.empty() || form.row_major;
  const std::string from(to_string(source.dtype)), to(to_string(asked));

  // Element type: float types become each other, or quantised; quantised values with their scale become numbers again.
  if (asked != source.dtype) {
    if (is_quantized(source.dtype) && source.parameters == nullptr && (is_float(asked) || is_quantized(asked)))
      return refuse("it holds bare " + from + " elements: only values registered with their scale (a Quantized) become numbers", true);
    const bool reads = is_float(source.dtype) || source.parameters != nullptr;
    if (!reads || !(is_float(asked) || is_quantized(asked))) return refuse(from + " elements do not become " + to, true);
  } else if (source.parameters != nullptr && reshapes) {
    return refuse("its " + from + " values are divided into ranges of one scale: take it as a float type, whose form can be changed", true);
  }
  if (asked == source.dtype && !reshapes) {
    plan.shape = source.layout.shape;
    return plan;
  }

  // Width. i4x2 counts pairs, so it is read as numbers first.
  Shape shape = source.layout.shape;
  if (source.dtype == DType::i4x2 && asked != source.dtype && rank > 0) shape[rank - 1] *= 2;
  if ((form.width || form.projection) && rank == 0) return refuse("a scalar has no width");
  if (form.projection) {
    if (!is_float(source.dtype) && source.parameters == nullptr) return refuse("a projection takes numbers, not " + from, true);
    if (form.width && *form.width != form.projection.out)
      return refuse("it is to be " + std::to_string(*form.width) + " wide, but the projection gives " + std::to_string(form.projection.out));
    if (shape.back() != form.projection.in)
      return refuse("its rows are " + std::to_string(shape.back()) + " wide, but the projection takes " + std::to_string(form.projection.in));
    then(std::to_string(form.projection.in) + " → " + std::to_string(form.projection.out) + " wide by projection");
    plan.projection = form.projection;
    shape[rank - 1] = form.projection.out;
  } else if (form.width && *form.width != shape.back()) {
    const bool wider = shape.back() > *form.width;
    if (!(form.fit == Fit::slice_or_pad || form.fit == (wider ? Fit::slice : Fit::pad)))
      return refuse("its rows are " + std::to_string(shape.back()) + " wide, and the model takes " + std::to_string(*form.width) + ": allow it to be " +
                    (wider ? "sliced" : "padded") + " (Fit), or give a projection");
    then(std::to_string(shape.back()) + " → " + std::to_string(*form.width) + (wider ? " wide by slice" : " wide by zeros"));
    if (wider && source.parameters == nullptr) plan.layout = slice(plan.layout, -1, 0, static_cast<std::ptrdiff_t>(*form.width));
    else plan.padded = *form.width;
    shape[rank - 1] = *form.width;
  }

  // Axes.
  if (!form.axes.empty()) {
    if (form.axes.size() != rank) return refuse("it has " + std::to_string(rank) + " axes, and the form orders " + std::to_string(form.axes.size()));
    std::string order;
    std::size_t seen = 0;
    for (std::size_t axis : form.axes) {
      order += (order.empty() ? "" : ", ") + std::to_string(axis);
      if (axis < rank) seen |= std::size_t{1} << axis;
    }
    if (seen != (std::size_t{1} << rank) - 1) return refuse("its " + std::to_string(rank) + " axes cannot be put in the order " + order);
    plan.axes = form.axes;
    shape = permute(contiguous_layout(shape), form.axes).shape;
    then("axes " + order);
  }
  const bool moved = !plan.padded && !plan.projection;  // still a view of the tensor's own bytes
  if (moved && !plan.axes.empty()) plan.layout = permute(plan.layout, plan.axes);
  // A copied tensor is in row-major order unless its axes were moved afterwards.
  const bool copied = form.row_major && !(moved ? is_contiguous(plan.layout.shape, plan.layout.strides) : plan.axes.empty());
  if (copied) then("row-major");
  if (asked != source.dtype) then(from + " → " + to);

  plan.row_major = form.row_major;
  plan.is_view = moved && asked == source.dtype && !copied;
  plan.shape = shape;
  if (is_quantized(asked) && asked != source.dtype) {
    if (asked == DType::i4x2) {
      if (rank == 0 || shape.back() % 2 != 0)
        return refuse("4-bit values are packed in pairs along the last axis, and the form's shape is " + to_string(shape));
      plan.shape = packed_shape(shape);
    }
    const QuantizeOptions usual = rank == 0 ? QuantizeOptions{} : per_row;
    plan.ranges = rank == 0 ? QuantizeOptions{} : ranges;
    const Shape scale = range_shape(shape, plan.ranges);
    plan.bytes = quantized_places(asked, plan.shape, scale, asked == DType::u8).bytes;
    std::string divided;
    for (std::size_t extent : scale) divided += (divided.empty() ? "" : "×") + std::to_string(extent);
    plan.key += "ranges " + divided + " ";
    if (!(scale == range_shape(shape, usual))) then("ranges " + divided);
  } else if (!plan.is_view) {
    plan.bytes = checked_multiply(element_count(plan.shape), size_of(asked), "the number of bytes");
  }
  plan.key += plan.how;
  if (plan.projection) plan.key += " " + std::to_string(reinterpret_cast<std::uintptr_t>(plan.projection.apply.get()));
  return plan;
}

}  // namespace cotenant::detail

#endif
