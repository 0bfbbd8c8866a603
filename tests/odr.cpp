// A second translation unit that includes what the tests include: a function that is not inline fails to link.
#include <cotenant/cotenant.hpp>
