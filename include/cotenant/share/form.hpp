// TensorForm: how a model takes a tensor that was made for others: element type, width, order of axes.
#ifndef COTENANT_SHARE_FORM_HPP
#define COTENANT_SHARE_FORM_HPP
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cotenant/share/tensor.hpp"

namespace cotenant {

// How a tensor of another width is made to fit. The width is the extent of the last axis.
enum class Fit {
  exact,         // it does not: the model and the tensor are incompatible
  slice,         // the first values of each row: a view, which costs nothing
  pad,           // zeros behind each row: a copy
  slice_or_pad,  // whichever it takes
};

// A matrix that takes rows of one width to another: see projection() in ops/projection.hpp.
struct Projection {
  using Function = std::function<SharedTensor<float>(const SharedTensor<float, Borrowed>&)>;

  Projection() = default;
  // For a computation of your own: `function` takes [..., in] in row-major order and gives [..., out].
  Projection(std::size_t from, std::size_t to, Function function) : in(from), out(to), apply(std::make_shared<const Function>(std::move(function))) {}
  explicit operator bool() const { return apply != nullptr; }

  std::size_t in = 0, out = 0;
  // Two forms with the same one share what it gives.
  std::shared_ptr<const Function> apply;
};

// What a model can work with; everything is optional. The steps are taken in this order: projection or width, axes, row_major, dtype.
//   {.dtype = DType::f16, .width = 384, .fit = Fit::slice}
struct TensorForm {
  std::optional<DType> dtype = {};        // by the element type of get<T>() where this is empty
  std::optional<std::size_t> width = {};  // of the last axis
  Fit fit = Fit::exact;                   // what to do with another width
  Projection projection = {};             // instead, where it takes the tensor's width
  std::vector<std::size_t> axes = {};     // axis i of what the model gets is axis axes[i] of the tensor: a view. Empty: as they are
  bool row_major = false;                 // a copy where it would not be
};

}  // namespace cotenant

#endif
